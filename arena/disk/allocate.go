package disk

import (
	"bytes"
	"io"
)

const (
	holeSize  = 4096 // no file system that matters here has larger blocks with holes between them
	fillBatch = 64 * holeSize
)

var zeros [fillBatch]byte

// fillHoles gives every block of [0, size) of f a place on disk where the file system cannot reserve space
// by itself: it writes zeros behind the end of the file and over every block that reads as zeros, since only
// such a block can be a hole. A write of something else to that range at the same time could be undone,
// therefore File.Allocate forbids it.
func fillHoles(f File, size int64) error {
	end, err := f.Size()
	if err != nil {
		return err
	}
	buf := make([]byte, holeSize)
	for off := int64(0); off < min(end, size); off += holeSize {
		n, err := f.ReadAt(buf[:min(holeSize, end-off)], off)
		if err != nil && err != io.EOF {
			return err
		}
		if b := buf[:n]; bytes.Equal(b, zeros[:n]) {
			if _, err := f.WriteAt(b, off); err != nil {
				return err
			}
		}
	}
	for off := end; off < size; off += fillBatch {
		if _, err := f.WriteAt(zeros[:min(fillBatch, size-off)], off); err != nil {
			return err
		}
	}
	return nil
}

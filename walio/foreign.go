package walio

import (
	"bytes"
	"fmt"

	"github.com/rekindledb/rekindle/arena/disk"
)

// ForeignRecord is a record of a log that Prometheus, Cortex or Mimir wrote, or bytes that are none. It is reused for
// the next one.
type ForeignRecord struct {
	Off, End int64
	Fault    string // why the bytes cannot be read; Data is nil then
	Data     []byte // decompressed, its type first
}

// ReadForeign calls visit for each record of a segment in the framing of tsdb/wlog, whoever wrote it. Unlike the
// stock reader it goes on behind damage, with the next fragment that has the right checksum, and it opens the file for
// reading only. The error is the disk's or visit's.
func ReadForeign(fsys disk.FS, path string, visit func(*ForeignRecord) error) error {
	f, size, err := openSegment(fsys, path)
	if err != nil {
		return err
	}
	defer f.Close()
	var (
		r     = recordReader{padded: true}
		inner decompressor
		out   ForeignRecord
	)
	defer inner.close()
	r.reset(f, 0, size)
	for {
		rec, ok := r.next()
		if !ok {
			break
		}
		out = ForeignRecord{Off: rec.off, End: rec.end}
		if rec.broken {
			// Without the padding in front, which is nothing but padding at the end of the file.
			b := make([]byte, rec.end-rec.off)
			if _, err := f.ReadAt(b, rec.off); err != nil {
				return fmt.Errorf("walio: read segment %s: %w", path, err)
			}
			n := len(bytes.TrimLeft(b, "\x00"))
			if n == 0 && rec.end == size {
				break
			}
			out.Off = rec.end - int64(n)
			out.Fault = fmt.Sprintf("%d bytes are not a record with the right checksum", n)
		} else if data, err := inner.record(rec.data, rec.flags); err != nil {
			out.Fault = err.Error()
		} else {
			out.Data = data
		}
		if err := visit(&out); err != nil {
			return err
		}
	}
	if r.err != nil {
		return fmt.Errorf("walio: read segment %s: %w", path, r.err)
	}
	return nil
}

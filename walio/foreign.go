package walio

import (
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
	f, err := fsys.Open(path)
	if err != nil {
		return fmt.Errorf("walio: open segment: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("walio: size of segment %s: %w", path, err)
	}
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
		if rec.broken && rec.end == size {
			b := make([]byte, rec.end-rec.off)
			if _, err := f.ReadAt(b, rec.off); err == nil && allZero(b) {
				break // the padding of the last page
			}
		}
		if rec.broken {
			out.Fault = fmt.Sprintf("%d bytes are not a record with the right checksum", rec.end-rec.off)
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

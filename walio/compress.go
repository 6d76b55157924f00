package walio

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// compressor compresses whole records. It belongs to one goroutine.
type compressor struct {
	kind Compression
	zstd *zstd.Encoder
}

func newCompressor(kind Compression) (*compressor, error) {
	c := &compressor{kind: kind}
	if kind != CompressionZstd {
		return c, nil
	}
	var err error
	// The next level takes half as long again and saves nothing on samples.
	if c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
		return nil, fmt.Errorf("walio: start zstd: %w", err)
	}
	return c, nil
}

// append appends rec to dst, compressed if that makes it smaller, and returns the flags of its fragments.
func (c *compressor) append(dst, rec []byte) ([]byte, byte) {
	n := len(dst)
	switch c.kind {
	case CompressionSnappy:
		dst = slices.Grow(dst, s2.MaxEncodedLen(len(rec)))
		if out := s2.EncodeSnappyBetter(dst[n:cap(dst)], rec); len(out) < len(rec) {
			return dst[:n+len(out)], flagSnappy
		}
	case CompressionZstd:
		if out := c.zstd.EncodeAll(rec, dst); len(out)-n < len(rec) {
			return out, flagZstd
		}
	}
	return append(dst, rec...), 0
}

// decompressor undoes what any compressor or stock writer did. It belongs to one goroutine.
type decompressor struct {
	zstd *zstd.Decoder // started by the first record that needs it
	buf  []byte
}

var errCompressed = errors.New("record does not decompress")

// record returns the record behind data. The result is valid until the next call.
func (d *decompressor) record(data []byte, flags byte) ([]byte, error) {
	switch flags {
	case 0:
		return data, nil
	case flagSnappy:
		n, err := s2.DecodedLen(data)
		if err != nil || n > recordDecodedMax {
			return nil, errCompressed
		}
		if n > cap(d.buf) {
			d.buf = make([]byte, max(n, 2*cap(d.buf)))
		}
		out, err := s2.Decode(d.buf[:n], data)
		if err != nil {
			return nil, errCompressed
		}
		return out, nil
	case flagZstd:
		if d.zstd == nil {
			var err error
			if d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(recordDecodedMax)); err != nil {
				return nil, fmt.Errorf("walio: start zstd: %w", err)
			}
		}
		out, err := d.zstd.DecodeAll(data, d.buf[:0])
		if err != nil {
			return nil, errCompressed
		}
		d.buf = out[:0]
		return out, nil
	}
	return nil, errCompressed
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

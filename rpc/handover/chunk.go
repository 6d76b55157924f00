package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/rekindledb/rekindle/engine"
)

// Encodings on the wire.
const (
	encodingBigchunk = 3
	encodingXOR      = 4
)

var errShort = errors.New("the chunk ends early")

// appendSamples appends those of a chunk that are newer than the last one there is; chunks may overlap.
func appendSamples(dst []engine.Sample, from int, encoding uint64, data []byte) ([]engine.Sample, error) {
	switch encoding {
	case encodingXOR:
		return appendXOR(dst, from, data)
	case encodingBigchunk:
		if len(data) < 2 {
			return dst, errShort
		}
		n := int(binary.LittleEndian.Uint16(data))
		data = data[2:]
		for range n {
			if len(data) < 2 {
				return dst, errShort
			}
			size := int(binary.LittleEndian.Uint16(data))
			if len(data) < 2+size {
				return dst, errShort
			}
			var err error
			if dst, err = appendXOR(dst, from, data[2:2+size]); err != nil {
				return dst, err
			}
			data = data[2+size:]
		}
		return dst, nil
	default:
		return dst, fmt.Errorf("encoding %d is not taken: %d (Bigchunk) and %d (PrometheusXorChunk) are", encoding, encodingBigchunk, encodingXOR)
	}
}

func appendXOR(dst []engine.Sample, from int, data []byte) ([]engine.Sample, error) {
	if len(data) < 2 {
		return dst, errShort
	}
	c, err := chunkenc.FromData(chunkenc.EncXOR, data)
	if err != nil {
		return dst, err
	}
	it := c.Iterator(nil)
	for it.Next() != chunkenc.ValNone {
		t, v := it.At()
		if len(dst) == from || t > dst[len(dst)-1].T {
			dst = append(dst, engine.Sample{T: t, V: math.Float64bits(v)})
		}
	}
	return dst, it.Err()
}

package pb

import (
	"fmt"

	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/rekindledb/rekindle/engine"
)

// Chunk encodings on the wire. They are not the numbers that chunkenc and chunk files have for the same payloads.
const (
	encodingXOR            = 4
	encodingHistogram      = 5
	encodingFloatHistogram = 6
)

// encodingOf is the wire's number of an encoding; false if queriers don't know it.
func encodingOf(e chunkenc.Encoding) (uint64, bool) {
	switch e {
	case chunkenc.EncXOR:
		return encodingXOR, true
	case chunkenc.EncHistogram:
		return encodingHistogram, true
	case chunkenc.EncFloatHistogram:
		return encodingFloatHistogram, true
	default:
		return 0, false
	}
}

// SizeChunkSeries is how many bytes AppendChunkSeries appends.
func SizeChunkSeries(s *engine.Series) int { return sizeBytes(sizeChunkSeries(s)) }

func sizeChunkSeries(s *engine.Series) int {
	size := sizeLabels(s.Labels)
	for i := range s.Chunks {
		size += sizeBytes(sizeChunk(&s.Chunks[i]))
	}
	return size
}

// sizeChunk relies on encodings being below 128.
func sizeChunk(c *engine.Chunk) int {
	return sizeVarint(uint64(c.MinT)) + sizeVarint(uint64(c.MaxT)) + sizeVarint(0) + sizeBytes(len(c.Data))
}

// AppendChunkSeries appends a series and its chunks to a QueryStreamResponse, the chunks as they are.
//
//	chunkseries=1 repeated TimeSeriesChunk: labels=3 repeated LabelPair, chunks=4 repeated Chunk
//	Chunk: start=1 end=2 int64, encoding=3 int32, data=4 bytes
func AppendChunkSeries(dst []byte, s *engine.Series) ([]byte, error) {
	dst = appendSize(dst, 1, sizeChunkSeries(s))
	dst = appendLabels(dst, 3, s.Labels)
	for i := range s.Chunks {
		c := &s.Chunks[i]
		encoding, ok := encodingOf(c.Enc)
		if !ok {
			return dst, fmt.Errorf("series %s has a chunk of encoding %s, which queriers cannot read", s.Labels, c.Enc)
		}
		dst = appendSize(dst, 4, sizeChunk(c))
		dst = appendVarint(dst, 1, uint64(c.MinT))
		dst = appendVarint(dst, 2, uint64(c.MaxT))
		dst = appendVarint(dst, 3, encoding)
		dst = appendSize(dst, 4, len(c.Data))
		dst = append(dst, c.Data...)
	}
	return dst, nil
}

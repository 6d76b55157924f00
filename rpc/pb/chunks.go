package pb

import (
	"fmt"
	"iter"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"google.golang.org/protobuf/encoding/protowire"

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

// A series' key is its labels as LabelPair fields of number 1, so that they can be copied. A TimeSeriesChunk
// has them under another number.
const tagChunkLabel = 3<<3 | byte(protowire.BytesType)

// SizeChunkSeries is how many bytes AppendChunkSeries appends.
func SizeChunkSeries(s *engine.KeyedSeries) int { return sizeBytes(sizeChunkSeries(s)) }

func sizeChunkSeries(s *engine.KeyedSeries) int {
	size := len(s.Key)
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
func AppendChunkSeries(dst []byte, s *engine.KeyedSeries) ([]byte, error) {
	dst = appendSize(dst, 1, sizeChunkSeries(s))
	begin := len(dst)
	dst = append(dst, s.Key...)
	for p := begin; p < len(dst); {
		dst[p] = tagChunkLabel
		p++
		_, n := protowire.ConsumeBytes(dst[p:])
		p += n
	}
	return appendChunks(dst, 4, s.Chunks)
}

// appendChunks appends fields of the message Chunk.
func appendChunks(dst []byte, num protowire.Number, chunks []engine.Chunk) ([]byte, error) {
	for i := range chunks {
		c := &chunks[i]
		encoding, ok := encodingOf(c.Enc)
		if !ok {
			return dst, fmt.Errorf("a chunk has the encoding %s, which queriers cannot read", c.Enc)
		}
		dst = appendSize(dst, num, sizeChunk(c))
		dst = appendVarint(dst, 1, uint64(c.MinT))
		dst = appendVarint(dst, 2, uint64(c.MaxT))
		dst = appendVarint(dst, 3, encoding)
		dst = appendSize(dst, 4, len(c.Data))
		dst = append(dst, c.Data...)
	}
	return dst, nil
}

// SizeMetric is how many bytes AppendMetric appends.
func SizeMetric(key []byte) int { return sizeBytes(len(key)) }

// AppendMetric appends a series to a MetricsForLabelMatchersResponse.
//
//	metric=1 repeated Metric: labels=1 repeated LabelPair
func AppendMetric(dst, key []byte) []byte {
	return append(appendSize(dst, 1, len(key)), key...)
}

// Labels goes through the names and values of a key.
func Labels(key []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for len(key) > 0 {
			pair, n := protowire.ConsumeBytes(key[1:])
			key = key[1+n:]
			name, n := protowire.ConsumeBytes(pair[1:])
			value, _ := protowire.ConsumeBytes(pair[1+n+1:])
			if !yield(name, value) {
				return
			}
		}
	}
}

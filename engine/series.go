package engine

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Series is what a query gets of one series: a copy, on the heap, of its labels and of the chunks that
// overlap the queried range. Nothing in it points into an arena or a file.
type Series struct {
	Labels labels.Labels
	Chunks []Chunk // ascending MinT, not overlapping
}

// Chunk is one encoded run of samples. Data is what chunkenc.FromData(Enc, Data) takes.
type Chunk struct {
	MinT, MaxT int64 // milliseconds, both inclusive
	Enc        chunkenc.Encoding
	Data       []byte
}

// Part says what of a series' samples a query needs.
type Part uint8

const (
	// AllSamples are all chunks that overlap the range.
	AllSamples Part = iota
	// LastSample is at least the last sample in the range, in a chunk of its own if it is a float of the open chunk.
	// Whether a histogram begins anew depends on the one before it.
	LastSample
	// NoSamples is none: whether there are any.
	NoSamples
)

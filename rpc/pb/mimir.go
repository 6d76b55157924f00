package pb

import (
	"bytes"

	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rekindledb/rekindle/engine"
)

// What Mimir's queriers ask for in addition to Cortex's.

// AppendStreamingSeries appends a series to the first part of a QueryStreamResponse in Mimir's form.
//
//	streaming_series=3 repeated QueryStreamSeries: labels=1 repeated LabelPair, chunk_count=2 int64
func AppendStreamingSeries(dst, key []byte, chunks int) []byte {
	dst = appendSize(dst, 3, len(key)+sizeVarint(uint64(chunks)))
	dst = append(dst, key...)
	return appendVarint(dst, 2, uint64(chunks))
}

// AppendEndOfSeries marks the last message of the first part.
//
//	is_end_of_series_stream=4 bool
func AppendEndOfSeries(dst []byte) []byte { return appendVarint(dst, 4, 1) }

// SizeStreamingChunks is how many bytes AppendStreamingChunks appends.
func SizeStreamingChunks(index uint64, chunks []engine.Chunk) int {
	return sizeBytes(sizeStreamingChunks(index, chunks))
}

func sizeStreamingChunks(index uint64, chunks []engine.Chunk) int {
	size := sizeVarint(index)
	for i := range chunks {
		size += sizeBytes(sizeChunk(&chunks[i]))
	}
	return size
}

// AppendStreamingChunks appends the chunks of the series that was number index of the first part, from 0.
//
//	streaming_series_chunks=5 repeated QueryStreamSeriesChunks: series_index=1 uint64, chunks=2 repeated Chunk
func AppendStreamingChunks(dst []byte, index uint64, chunks []engine.Chunk) ([]byte, error) {
	dst = appendSize(dst, 5, sizeStreamingChunks(index, chunks))
	dst = appendVarint(dst, 1, index)
	return appendChunks(dst, 2, chunks)
}

// CardinalityRequest asks for counts: LabelNamesAndValuesRequest, LabelValuesCardinalityRequest, ActiveSeriesRequest and
// UserStatsRequest.
type CardinalityRequest struct {
	Names    []string
	Matchers []*labels.Matcher
	// Active asks for series with recent samples only.
	Active bool
	// Histograms asks for native histograms only.
	Histograms bool
}

// UnmarshalNamesAndValues reads a LabelNamesAndValuesRequest.
//
//	matchers=1 repeated LabelMatcher, count_method=2 enum
func (r *CardinalityRequest) UnmarshalNamesAndValues(m []byte) error {
	*r = CardinalityRequest{}
	return each("LabelNamesAndValuesRequest", m, func(f field) (err error) {
		switch f.num {
		case 1:
			r.Matchers, err = f.appendMatcher(r.Matchers)
		case 2:
			r.Active, err = f.bool()
		}
		return err
	})
}

// UnmarshalValues reads a LabelValuesCardinalityRequest.
//
//	label_names=1 repeated string, matchers=2 repeated LabelMatcher, count_method=3 enum
func (r *CardinalityRequest) UnmarshalValues(m []byte) error {
	*r = CardinalityRequest{}
	return each("LabelValuesCardinalityRequest", m, func(f field) (err error) {
		switch f.num {
		case 1:
			var name string
			name, err = f.string()
			r.Names = append(r.Names, name)
		case 2:
			r.Matchers, err = f.appendMatcher(r.Matchers)
		case 3:
			r.Active, err = f.bool()
		}
		return err
	})
}

// UnmarshalActive reads an ActiveSeriesRequest.
//
//	matchers=1 repeated LabelMatcher, type=2 enum
func (r *CardinalityRequest) UnmarshalActive(m []byte) error {
	*r = CardinalityRequest{Active: true}
	return each("ActiveSeriesRequest", m, func(f field) (err error) {
		switch f.num {
		case 1:
			r.Matchers, err = f.appendMatcher(r.Matchers)
		case 2:
			r.Histograms, err = f.bool()
		}
		return err
	})
}

// UnmarshalStats reads a UserStatsRequest.
//
//	count_method=1 enum
func (r *CardinalityRequest) UnmarshalStats(m []byte) error {
	*r = CardinalityRequest{}
	return each("UserStatsRequest", m, func(f field) (err error) {
		if f.num == 1 {
			r.Active, err = f.bool()
		}
		return err
	})
}

// AppendNameAndValues appends values of a label to a LabelNamesAndValuesResponse.
//
//	items=1 repeated LabelValues: label_name=1 string, values=2 repeated string
func AppendNameAndValues(dst []byte, name string, values []string) []byte {
	size := sizeBytes(len(name))
	for _, v := range values {
		size += sizeBytes(len(v))
	}
	dst = appendSize(dst, 1, size)
	dst = AppendString(dst, 1, name)
	for _, v := range values {
		dst = AppendString(dst, 2, v)
	}
	return dst
}

// AppendValueCount appends how many series have a value of a label to a LabelValuesCardinalityResponse.
//
//	items=1 repeated LabelValueSeriesCount: label_name=1 string, label_value_series=2 map<string, uint64>
func AppendValueCount(dst []byte, name, value string, series uint64) []byte {
	entry := sizeBytes(len(value)) + sizeVarint(series)
	dst = appendSize(dst, 1, sizeBytes(len(name))+sizeBytes(entry))
	dst = AppendString(dst, 1, name)
	dst = appendSize(dst, 2, entry)
	dst = AppendString(dst, 1, value)
	return appendVarint(dst, 2, series)
}

// CompareKeys orders series as Prometheus orders their labels: by the first name or value in which they differ.
func CompareKeys(a, b []byte) int {
	for len(a) > 0 && len(b) > 0 {
		pairA, n := protowire.ConsumeBytes(a[1:])
		a = a[1+n:]
		pairB, n := protowire.ConsumeBytes(b[1:])
		b = b[1+n:]
		if bytes.Equal(pairA, pairB) {
			continue
		}
		nameA, n := protowire.ConsumeBytes(pairA[1:])
		valueA, _ := protowire.ConsumeBytes(pairA[1+n+1:])
		nameB, n := protowire.ConsumeBytes(pairB[1:])
		valueB, _ := protowire.ConsumeBytes(pairB[1+n+1:])
		if c := bytes.Compare(nameA, nameB); c != 0 {
			return c
		}
		return bytes.Compare(valueA, valueB)
	}
	return len(a) - len(b)
}

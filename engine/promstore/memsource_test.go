package promstore

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/rekindledb/rekindle/engine"
)

// memSource is a Source as simple as it can be: a list of series that every call walks from end to end, asking
// each matcher about each series. What the engine does with postings has to come out the same.
type memSource struct {
	// chunkLen is the number of samples a chunk, 120 if it is 0 (chunks may be cut earlier).
	chunkLen int
	series   map[string]*memSeries // by the bytes of the labels
}

type memSeries struct {
	labels  labels.Labels
	samples []chunks.Sample
	chunks  []engine.Chunk // the samples encoded, nil when they have to be encoded anew
}

// sample implements chunks.Sample.
type sample struct {
	st, t int64
	f     float64
	fh    *histogram.FloatHistogram
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return s.st }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return s.fh }

func (s sample) Type() chunkenc.ValueType {
	if s.fh != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

func (s sample) Copy() chunks.Sample {
	if s.fh != nil {
		s.fh = s.fh.Copy()
	}
	return s
}

// get returns the series of ls, which it creates if need be.
func (m *memSource) get(ls labels.Labels) *memSeries {
	key := string(ls.Bytes(nil))
	s := m.series[key]
	if s == nil {
		if m.series == nil {
			m.series = map[string]*memSeries{}
		}
		s = &memSeries{labels: ls}
		m.series[key] = s
	}
	return s
}

// add appends a sample. It accepts a repetition of the last one and nothing else that is not newer.
func (m *memSource) add(ls labels.Labels, v sample) error {
	s := m.get(ls)
	if n := len(s.samples); n > 0 {
		switch last := s.samples[n-1]; {
		case last.T() == v.t && last.F() == v.f:
			return nil
		case last.T() >= v.t:
			return fmt.Errorf("sample of %s at %d comes after one at %d: %w", ls, v.t, last.T(), storage.ErrOutOfOrderSample)
		}
	}
	s.samples = append(s.samples, v)
	s.chunks = nil
	return nil
}

// encode turns the samples into chunks.
func (m *memSource) encode(s *memSeries) error {
	step := m.chunkLen
	if step == 0 {
		step = len(s.samples)
	}
	for run := range slices.Chunk(s.samples, max(step, 1)) {
		metas, err := storage.ExpandChunks(storage.NewSeriesToChunkEncoder(storage.NewListSeries(s.labels, run)).Iterator(nil))
		if err != nil {
			return err
		}
		for _, c := range metas {
			s.chunks = append(s.chunks, engine.Chunk{MinT: c.MinTime, MaxT: c.MaxTime, Enc: c.Chunk.Encoding(), Data: c.Chunk.Bytes()})
		}
	}
	return nil
}

func (m *memSource) SelectPart(ctx context.Context, part engine.Part, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error) {
	list, err := m.Select(ctx, mint, maxt, ms...)
	for i := range list {
		switch part {
		case engine.LastSample:
			if last := list[i].Chunks[len(list[i].Chunks)-1]; last.Enc == chunkenc.EncXOR {
				list[i].Chunks = []engine.Chunk{last}
			}
		case engine.NoSamples:
			list[i].Chunks = nil
		}
	}
	return list, err
}

func (m *memSource) Select(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error) {
	var out []engine.Series
	for _, s := range m.series {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !matchesAll(s.labels, ms) {
			continue
		}
		if s.chunks == nil {
			if err := m.encode(s); err != nil {
				return nil, err
			}
		}
		var in []engine.Chunk
		for _, c := range s.chunks {
			if c.MaxT >= mint && c.MinT <= maxt {
				in = append(in, c)
			}
		}
		if len(in) > 0 {
			out = append(out, engine.Series{Labels: s.labels, Chunks: in})
		}
	}
	return out, nil
}

func (m *memSource) LabelNames(ctx context.Context, mint, maxt int64, limit int, ms ...*labels.Matcher) ([]string, error) {
	return m.collect(ctx, mint, maxt, limit, ms, func(l labels.Label) (string, bool) { return l.Name, true })
}

func (m *memSource) LabelValues(ctx context.Context, name string, mint, maxt int64, limit int, ms ...*labels.Matcher) ([]string, error) {
	return m.collect(ctx, mint, maxt, limit, ms, func(l labels.Label) (string, bool) { return l.Value, l.Name == name })
}

// collect returns what take takes from the labels of the matching series, sorted and without repetitions.
func (m *memSource) collect(ctx context.Context, mint, maxt int64, limit int, ms []*labels.Matcher, take func(labels.Label) (string, bool)) ([]string, error) {
	list, err := m.Select(ctx, mint, maxt, ms...)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, s := range list {
		s.Labels.Range(func(l labels.Label) {
			if v, ok := take(l); ok {
				out = append(out, v)
			}
		})
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, nil
}

func matchesAll(ls labels.Labels, ms []*labels.Matcher) bool {
	for _, m := range ms {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}

// floats returns a memSource of one chunk length with the given float series, each a name and the times of its
// samples. The value of a sample is its time.
func floats(t testing.TB, chunkLen int, series map[string][]int64) *memSource {
	t.Helper()
	m := &memSource{chunkLen: chunkLen}
	for name, times := range series {
		for _, at := range times {
			if err := m.add(labels.FromStrings(model.MetricNameLabel, name), sample{t: at, f: float64(at)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

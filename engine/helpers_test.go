package engine

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena"
)

// testNow is the wall clock of engine tests.
var testNow = time.UnixMilli(1_700_000_000_000)

// testConfig is a small engine in a directory of the test.
func testConfig(t testing.TB, change ...func(*Config)) Config {
	c := Config{
		Dir: t.TempDir(), WAL: true, Recover: true, Checkpoint: true, Stripes: 4,
		Now:    func() time.Time { return testNow.Add(24 * time.Hour) },
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

// appendAlone appends a batch whose series all belong to s.
func (s *stripe) appendAlone(b *Batch, bd bounds, o *outcome) error {
	w := &b.work
	w.begin(nil)
	for i := range b.Series {
		b.Series[i].hash = xxhash.Sum64(b.Series[i].Key)
		b.Series[i].Known = Known{}
	}
	w.partition(b, 1)
	return s.append(b, w.order, bd, o)
}

// start opens an engine and recovers it. It is closed when the test ends, if the test does not do it.
func start(t testing.TB, c Config) *Engine {
	t.Helper()
	e, err := Open(c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close() })
	require.NoError(t, e.Recover(context.Background()))
	return e
}

// keyOf is the canonical key of a label set.
func keyOf(l labels.Labels) []byte {
	var key []byte
	l.Range(func(l labels.Label) { key = appendPair(key, l.Name, l.Value) })
	return key
}

// add appends a series with samples to a batch.
func add(b *Batch, l labels.Labels, samples ...Sample) {
	key := keyOf(l)
	lo := uint32(len(b.Samples))
	b.Samples = append(b.Samples, samples...)
	b.Series = append(b.Series, BatchSeries{Key: key, Lo: lo, Hi: uint32(len(b.Samples))})
}

func sample(t int64, v float64) Sample { return Sample{T: t, V: math.Float64bits(v)} }

func push(t testing.TB, e *Engine, tenant string, b *Batch) AppendResult {
	t.Helper()
	r, err := e.Append(context.Background(), tenant, b)
	require.NoError(t, err)
	return r
}

func pod(i int) labels.Labels {
	return labels.FromStrings(model.MetricNameLabel, fmt.Sprintf("metric_%d", i%7), "pod", fmt.Sprintf("pod-%d", i), "namespace", fmt.Sprintf("ns-%d", i%3))
}

// copyOf is all of an arena.
func copyOf(a *arena.Arena, slot uint8) []arena.Run {
	var c arena.Copy
	c.Begin(a, slot, true)
	c.Finish(a)
	return c.Runs()
}

// contents is everything a tenant answers, by series: sorted samples.
func contents(t testing.TB, e *Engine, tenant string) map[string][]Sample {
	t.Helper()
	out := map[string][]Sample{}
	ten := e.Tenant(tenant)
	if ten == nil {
		return out
	}
	series, err := ten.Select(context.Background(), math.MinInt64, math.MaxInt64, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".*"))
	require.NoError(t, err)
	for _, s := range series {
		_, twice := out[s.Labels.String()]
		require.False(t, twice, "series %s is there twice", s.Labels)
		out[s.Labels.String()] = samplesOf(t, s)
	}
	return out
}

func samplesOf(t testing.TB, s Series) []Sample {
	t.Helper()
	var out []Sample
	for _, c := range s.Chunks {
		chunk, err := chunkenc.FromData(c.Enc, c.Data)
		require.NoError(t, err)
		it := chunk.Iterator(nil)
		for first := true; it.Next() != chunkenc.ValNone; first = false {
			ts, v := it.At()
			if first {
				require.Equal(t, c.MinT, ts)
			}
			out = append(out, Sample{ts, math.Float64bits(v)})
		}
		require.NoError(t, it.Err())
		require.Equal(t, c.MaxT, out[len(out)-1].T)
	}
	require.True(t, slices.IsSortedFunc(out, func(a, b Sample) int { return cmp.Compare(a.T, b.T) }), "samples of %s are not ordered", s.Labels)
	return out
}

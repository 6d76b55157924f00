package promstore

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/rekindledb/rekindle/engine"
)

// What a query costs. With storage=ready the source answers from memory without work: decoding, trimming, sorting and
// PromQL are left. storage=engine adds finding the series and copying their chunks out, and storage=head is a head of
// Prometheus with the same samples.

// ready is a Source that gives the same answer to every SelectPart.
type ready struct {
	Source
	list []engine.Series
}

func (r ready) SelectPart(context.Context, engine.Part, int64, int64, ...*labels.Matcher) ([]engine.Series, error) {
	return append([]engine.Series(nil), r.list...), nil
}

// counters is a corpus of n counters scraped every 15 s for an hour.
func counters(n int) corpus {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	out := make(corpus, n)
	for i := range out {
		v := float64(rng.IntN(1_000_000))
		out[i].labels = labels.FromStrings(model.MetricNameLabel, "requests_total", "job", fmt.Sprint("job-", i%10), "pod", fmt.Sprintf("pod-%06d", i))
		for at := corpusStart + int64(i%15_000); at < corpusEnd; at += 15_000 {
			v += float64(rng.IntN(50))
			out[i].samples = append(out[i].samples, sample{t: at, f: v})
		}
	}
	return out
}

// readyOf encodes c, chunks of 120 samples.
func readyOf(t testing.TB, c corpus) ready {
	src := &memSource{chunkLen: 120}
	for _, s := range c {
		for _, v := range s.samples {
			require.NoError(t, src.add(s.labels, v))
		}
	}
	list, err := src.Select(t.Context(), math.MinInt64, math.MaxInt64, everything)
	require.NoError(t, err)
	return ready{list: list}
}

// headQueryable is a head of Prometheus as a storage.Queryable.
type headQueryable struct{ head *tsdb.Head }

func (h headQueryable) Querier(mint, maxt int64) (storage.Querier, error) {
	return tsdb.NewBlockQuerier(tsdb.NewRangeHead(h.head, mint, maxt), mint, maxt)
}

// onEach runs a benchmark on each storage with the same series.
func onEach(b *testing.B, run func(b *testing.B, q storage.Queryable, samples int)) {
	for _, n := range []int{10, 10_000} {
		c := counters(n)
		samples := 0
		for _, s := range c {
			samples += len(s.samples)
		}
		b.Run(fmt.Sprintf("series=%d/storage=ready", n), func(b *testing.B) { run(b, New(readyOf(b, c)), samples) })
		b.Run(fmt.Sprintf("series=%d/storage=engine", n), func(b *testing.B) {
			e := openEngine(b, engine.Config{Dir: b.TempDir()})
			push(b, e, "tenant", c)
			run(b, New(e.Tenant("tenant")), samples)
			require.NoError(b, e.Close())
		})
		b.Run(fmt.Sprintf("series=%d/storage=head", n), func(b *testing.B) { run(b, headQueryable{headOf(b, c)}, samples) })
	}
}

// BenchmarkSelect selects all series sorted and decodes them from end to end.
func BenchmarkSelect(b *testing.B) {
	onEach(b, func(b *testing.B, q storage.Queryable, samples int) {
		b.ReportAllocs()
		for b.Loop() {
			querier, err := q.Querier(corpusStart, corpusEnd)
			require.NoError(b, err)
			require.Equal(b, samples, readAll(b, querier.Select(b.Context(), true, nil, everything)))
			require.NoError(b, querier.Close())
		}
		b.ReportMetric(float64(samples)*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
	})
}

// BenchmarkLast selects the last five minutes, as instant queries do: most of each chunk is decoded to be skipped.
func BenchmarkLast(b *testing.B) {
	onEach(b, func(b *testing.B, q storage.Queryable, _ int) {
		b.ReportAllocs()
		for b.Loop() {
			querier, err := q.Querier(corpusEnd-300_000, corpusEnd)
			require.NoError(b, err)
			require.Positive(b, readAll(b, querier.Select(b.Context(), false, nil, everything)))
			require.NoError(b, querier.Close())
		}
	})
}

// BenchmarkRate evaluates a range query of 60 steps.
func BenchmarkRate(b *testing.B) {
	onEach(b, func(b *testing.B, q storage.Queryable, _ int) {
		ng := promqltest.NewTestEngine(b, false, 0, math.MaxInt)
		b.ReportAllocs()
		for b.Loop() {
			query, err := ng.NewRangeQuery(b.Context(), q, nil, "sum by (job) (rate(requests_total[5m]))", time.UnixMilli(corpusStart), time.UnixMilli(corpusEnd), time.Minute)
			require.NoError(b, err)
			res := query.Exec(b.Context())
			require.NoError(b, res.Err)
			require.Len(b, res.Value.(promql.Matrix), 10)
			query.Close()
		}
	})
}

// BenchmarkNarrow evaluates an instant query of one series of many: what a query costs whatever it finds.
func BenchmarkNarrow(b *testing.B) {
	onEach(b, func(b *testing.B, q storage.Queryable, _ int) {
		ng := Engine{promqltest.NewTestEngine(b, false, 0, math.MaxInt)}
		b.ReportAllocs()
		for b.Loop() {
			query, err := ng.NewInstantQuery(b.Context(), q, nil, `sum by (job) (rate(requests_total{pod="pod-000007"}[5m]))`, time.UnixMilli(corpusEnd))
			require.NoError(b, err)
			res := query.Exec(b.Context())
			require.NoError(b, res.Err)
			query.Close()
		}
	})
}

// readAll decodes a set and returns the number of its samples.
func readAll(t testing.TB, set storage.SeriesSet) int {
	n := 0
	var it chunkenc.Iterator
	for set.Next() {
		for it = set.At().Iterator(it); it.Next() != chunkenc.ValNone; {
			n++
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	return n
}

// Decoding a series with an iterator from the series before allocates nothing: not for the series, not for its
// chunks, not for trimming at either end, not for seeking.
func TestDecodingAllocatesNothing(t *testing.T) {
	src := readyOf(t, counters(4))
	q, err := New(src).Querier(corpusStart+100_000, corpusEnd-100_000)
	require.NoError(t, err)
	set := q.Select(t.Context(), true, nil, everything)
	var kept []storage.Series
	for set.Next() {
		kept = append(kept, set.At())
	}
	var it chunkenc.Iterator
	n := 0
	allocs := testing.AllocsPerRun(10, func() {
		for _, s := range kept {
			for it = s.Iterator(it); it.Next() != chunkenc.ValNone; {
				n++
			}
			it = s.Iterator(it)
			for at := int64(corpusStart); it.Seek(at) != chunkenc.ValNone; at += 1_000_000 {
				n++
			}
		}
	})
	require.Positive(t, n)
	// The first run makes the iterator; AllocsPerRun does not count it.
	require.Zero(t, allocs)
}

package promstore

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/rekindledb/rekindle/engine"
)

// everything matches every series that has a name.
var everything = labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+")

// times returns the times of the samples of each series of set, and checks that values and times belong together.
func times(t testing.TB, set storage.SeriesSet) map[string][]int64 {
	t.Helper()
	out := map[string][]int64{}
	var it chunkenc.Iterator
	for set.Next() {
		s := set.At()
		name := s.Labels().Get(model.MetricNameLabel)
		out[name] = nil
		it = s.Iterator(it)
		for it.Next() != chunkenc.ValNone {
			at, v := it.At()
			require.Equal(t, float64(at), v)
			require.Equal(t, at, it.AtT())
			out[name] = append(out[name], at)
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	require.Empty(t, set.Warnings())
	return out
}

// chunkTimes is times for a set of chunks. It also checks that each chunk begins and ends when it says.
func chunkTimes(t testing.TB, set storage.ChunkSeriesSet) map[string][]int64 {
	t.Helper()
	out := map[string][]int64{}
	var it chunks.Iterator
	for set.Next() {
		s := set.At()
		name := s.Labels().Get(model.MetricNameLabel)
		out[name] = nil
		for it = s.Iterator(it); it.Next(); {
			meta, n := it.At(), len(out[name])
			for si := meta.Chunk.Iterator(nil); si.Next() != chunkenc.ValNone; {
				out[name] = append(out[name], si.AtT())
			}
			require.Equal(t, meta.MinTime, out[name][n])
			require.Equal(t, meta.MaxTime, out[name][len(out[name])-1])
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	require.Empty(t, set.Warnings())
	return out
}

// The range of the querier, the hints and the edges of chunks decide together which samples are seen. The table has
// a case for every place where an end of the range can fall: on a sample, between two, between two chunks, outside.
func TestSelectTrims(t *testing.T) {
	// Chunks of a: [10 20 30] [40 50 60] [70]. b has one chunk, c lies elsewhere.
	src := floats(t, 3, map[string][]int64{"a": {10, 20, 30, 40, 50, 60, 70}, "b": {35, 45}, "c": {1000}})
	all := map[string][]int64{"a": {10, 20, 30, 40, 50, 60, 70}, "b": {35, 45}, "c": {1000}}
	hints := func(start, end int64) *storage.SelectHints { return &storage.SelectHints{Start: start, End: end} }

	for name, c := range map[string]struct {
		mint, maxt int64
		hints      *storage.SelectHints
		want       map[string][]int64
	}{
		"all of time":                  {math.MinInt64, math.MaxInt64, nil, all},
		"exactly from first to last":   {10, 1000, nil, all},
		"ends on samples":              {20, 50, nil, map[string][]int64{"a": {20, 30, 40, 50}, "b": {35, 45}}},
		"ends between samples":         {21, 49, nil, map[string][]int64{"a": {30, 40}, "b": {35, 45}}},
		"one sample":                   {40, 40, nil, map[string][]int64{"a": {40}, "b": nil}},
		"between two chunks":           {31, 34, nil, map[string][]int64{}},
		"in a gap of a chunk":          {46, 49, nil, map[string][]int64{"a": nil}},
		"last chunk":                   {61, 70, nil, map[string][]int64{"a": {70}}},
		"before everything":            {0, 9, nil, map[string][]int64{}},
		"after everything":             {1001, 2000, nil, map[string][]int64{}},
		"ends the wrong way round":     {50, 20, nil, map[string][]int64{}},
		"hints narrow the range":       {0, 2000, hints(20, 40), map[string][]int64{"a": {20, 30, 40}, "b": {35}}},
		"hints do not widen it":        {20, 30, hints(0, 100), map[string][]int64{"a": {20, 30}}},
		"hints outside of it":          {20, 30, hints(100, 200), map[string][]int64{}},
		"trimming off: chunks whole":   {20, 40, &storage.SelectHints{Start: 20, End: 40, DisableTrimming: true}, map[string][]int64{"a": {10, 20, 30, 40, 50, 60}, "b": {35, 45}}},
		"trimming off: others not":     {61, 100, &storage.SelectHints{Start: 61, End: 100, DisableTrimming: true}, map[string][]int64{"a": {70}}},
		"what the series API asks for": {0, 100, &storage.SelectHints{Start: 0, End: 100, Func: "series"}, map[string][]int64{"a": nil, "b": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, sorted := range []bool{false, true} {
				q, err := New(src).Querier(c.mint, c.maxt)
				require.NoError(t, err)
				require.Equal(t, c.want, times(t, q.Select(t.Context(), sorted, c.hints, everything)))
				require.NoError(t, q.Close())

				// The same as chunks, decoded by Prometheus.
				cq, err := New(src).ChunkQuerier(c.mint, c.maxt)
				require.NoError(t, err)
				require.Equal(t, c.want, chunkTimes(t, cq.Select(t.Context(), sorted, c.hints, everything)))
				require.NoError(t, cq.Close())
			}
		})
	}
}

// A chunk inside the range is handed on byte for byte, one that the range cuts is encoded anew with its true ends,
// and one of which nothing is left is not there.
func TestChunksCutOnlyAtTheEnds(t *testing.T) {
	src := floats(t, 3, map[string][]int64{"a": {10, 20, 30, 40, 50, 60, 70, 80, 90}})
	all, err := src.Select(t.Context(), math.MinInt64, math.MaxInt64, everything)
	require.NoError(t, err)
	middle := all[0].Chunks[1]

	q, err := New(src).ChunkQuerier(15, 70)
	require.NoError(t, err)
	set := q.Select(t.Context(), true, nil, everything)
	require.True(t, set.Next())
	metas, err := storage.ExpandChunks(set.At().Iterator(nil))
	require.NoError(t, err)
	require.Len(t, metas, 3)
	require.Equal(t, [][2]int64{{20, 30}, {40, 60}, {70, 70}}, [][2]int64{
		{metas[0].MinTime, metas[0].MaxTime}, {metas[1].MinTime, metas[1].MaxTime}, {metas[2].MinTime, metas[2].MaxTime},
	})
	require.Same(t, &middle.Data[0], &metas[1].Chunk.Bytes()[0], "the chunk inside the range was copied")
	require.False(t, set.Next())

	q, err = New(src).ChunkQuerier(31, 49)
	require.NoError(t, err)
	set = q.Select(t.Context(), true, nil, everything)
	require.True(t, set.Next())
	metas, err = storage.ExpandChunks(set.At().Iterator(nil))
	require.NoError(t, err)
	require.Len(t, metas, 1)
	require.Equal(t, []int64{40, 40}, []int64{metas[0].MinTime, metas[0].MaxTime})

	q, err = New(src).ChunkQuerier(41, 49)
	require.NoError(t, err)
	set = q.Select(t.Context(), true, nil, everything)
	require.True(t, set.Next())
	metas, err = storage.ExpandChunks(set.At().Iterator(nil))
	require.NoError(t, err)
	require.Empty(t, metas)
}

// Seek moves forward to the first sample at or after a time, stays where it is if that is already so, crosses and
// skips chunks, keeps to the range, and mixes with Next. Every pair (range, list of seeks) is checked against a
// walk over the plain list of times.
func TestSeek(t *testing.T) {
	at := []int64{10, 20, 30, 40, 50, 60, 70, 80, 90}
	src := floats(t, 3, map[string][]int64{"a": at})
	var it chunkenc.Iterator
	for mint := int64(5); mint <= 95; mint += 5 {
		for maxt := mint; maxt <= 95; maxt += 5 {
			q, err := New(src).Querier(mint, maxt)
			require.NoError(t, err)
			set := q.Select(t.Context(), false, nil, everything)
			if !set.Next() {
				continue
			}
			var in []int64
			for _, v := range at {
				if v >= mint && v <= maxt {
					in = append(in, v)
				}
			}
			for first := int64(0); first <= 100; first += 5 {
				for second := int64(0); second <= 100; second += 5 {
					it = set.At().Iterator(it)
					pos := 0
					for _, target := range []int64{first, second} {
						for pos < len(in) && in[pos] < target {
							pos++
						}
						vt := it.Seek(target)
						if pos == len(in) {
							require.Equal(t, chunkenc.ValNone, vt, "range %d-%d, seeks %d %d", mint, maxt, first, second)
							continue
						}
						require.Equal(t, chunkenc.ValFloat, vt, "range %d-%d, seeks %d %d", mint, maxt, first, second)
						require.Equal(t, in[pos], it.AtT(), "range %d-%d, seeks %d %d", mint, maxt, first, second)
					}
					for pos++; pos < len(in); pos++ {
						require.Equal(t, chunkenc.ValFloat, it.Next())
						require.Equal(t, in[pos], it.AtT())
					}
					require.Equal(t, chunkenc.ValNone, it.Next())
					require.Equal(t, chunkenc.ValNone, it.Next(), "an exhausted iterator came back")
					require.NoError(t, it.Err())
				}
			}
		}
	}
}

// Series stay readable after the set has moved on, in any order and with one iterator for all of them.
func TestSeriesOutliveTheirTurn(t *testing.T) {
	src := floats(t, 2, map[string][]int64{"a": {1, 2, 3}, "b": {4, 5, 6}, "c": {7}})
	q, err := New(src).Querier(0, 100)
	require.NoError(t, err)
	set := q.Select(t.Context(), true, nil, everything)
	var kept []storage.Series
	for set.Next() {
		kept = append(kept, set.At())
	}
	var it chunkenc.Iterator
	got := map[string][]int64{}
	for _, i := range []int{2, 0, 1, 0} {
		var in []int64
		for it = kept[i].Iterator(it); it.Next() != chunkenc.ValNone; {
			in = append(in, it.AtT())
		}
		got[kept[i].Labels().Get(model.MetricNameLabel)] = in
	}
	require.Equal(t, map[string][]int64{"a": {1, 2, 3}, "b": {4, 5, 6}, "c": {7}}, got)
}

// An iterator that was left in the middle of a series, or that met an error, starts afresh when it is reused.
func TestReusedIteratorStartsAfresh(t *testing.T) {
	src := floats(t, 2, map[string][]int64{"a": {10, 20, 30}})
	list, err := src.Select(t.Context(), 0, 100, everything)
	require.NoError(t, err)
	broken := engine.Series{Labels: list[0].Labels, Chunks: []engine.Chunk{{MinT: 10, MaxT: 20, Enc: chunkenc.EncXOR}}}
	q, err := New(canned{list: []engine.Series{list[0], broken}}).Querier(0, 100)
	require.NoError(t, err)
	set := q.Select(t.Context(), false, nil, everything)
	require.True(t, set.Next())
	whole := set.At()
	require.True(t, set.Next())

	it := whole.Iterator(nil)
	require.Equal(t, chunkenc.ValFloat, it.Seek(20))
	it = whole.Iterator(it)
	require.Equal(t, chunkenc.ValFloat, it.Seek(5))
	require.Equal(t, int64(10), it.AtT())

	it = set.At().Iterator(it)
	require.Equal(t, chunkenc.ValNone, it.Next())
	require.Error(t, it.Err())
	it = whole.Iterator(it)
	require.Equal(t, chunkenc.ValFloat, it.Next())
	require.NoError(t, it.Err())
}

// A chunk that is cut keeps its encoding.
func TestCutChunkKeepsItsEncoding(t *testing.T) {
	ls := labels.FromStrings(model.MetricNameLabel, "a")
	for _, want := range []chunkenc.Encoding{chunkenc.EncXOR, chunkenc.EncXOR2} {
		chunk, err := chunkenc.NewEmptyChunk(want)
		require.NoError(t, err)
		app, err := chunk.Appender()
		require.NoError(t, err)
		for at := int64(10); at <= 50; at += 10 {
			app.Append(0, at, float64(at))
		}
		src := canned{list: []engine.Series{{Labels: ls, Chunks: []engine.Chunk{{MinT: 10, MaxT: 50, Enc: want, Data: chunk.Bytes()}}}}}
		q, err := New(src).ChunkQuerier(20, 40)
		require.NoError(t, err)
		set := q.Select(t.Context(), false, nil, everything)
		require.True(t, set.Next())
		metas, err := storage.ExpandChunks(set.At().Iterator(nil))
		require.NoError(t, err)
		require.Len(t, metas, 1)
		require.Equal(t, want, metas[0].Chunk.Encoding())
		require.Equal(t, 3, metas[0].Chunk.NumSamples())
	}
}

// Limit keeps the first series of a sorted answer; shards divide the series without loss or repetition, by the same
// hash as Prometheus; without matchers nothing is selected, as in Prometheus.
func TestSelectHints(t *testing.T) {
	src := floats(t, 0, map[string][]int64{"a": {1}, "b": {1}, "c": {1}, "d": {1}, "e": {1}})
	q, err := New(src).Querier(0, 10)
	require.NoError(t, err)
	names := func(set storage.SeriesSet) (out []string) {
		for set.Next() {
			out = append(out, set.At().Labels().Get(model.MetricNameLabel))
		}
		require.NoError(t, set.Err())
		return out
	}
	require.Equal(t, []string{"a", "b"}, names(q.Select(t.Context(), true, &storage.SelectHints{End: 10, Limit: 2}, everything)))
	require.Len(t, names(q.Select(t.Context(), false, &storage.SelectHints{End: 10, Limit: 2}, everything)), 2)
	require.Len(t, names(q.Select(t.Context(), false, &storage.SelectHints{End: 10, Limit: 6}, everything)), 5)

	shards := map[string]uint64{}
	for shard := range uint64(3) {
		for _, n := range names(q.Select(t.Context(), false, &storage.SelectHints{End: 10, ShardIndex: shard, ShardCount: 3}, everything)) {
			require.NotContains(t, shards, n)
			shards[n] = shard
			require.Equal(t, shard, labels.StableHash(labels.FromStrings(model.MetricNameLabel, n))%3)
		}
	}
	require.Len(t, shards, 5)

	require.Empty(t, names(q.Select(t.Context(), true, nil)))
}

// Label names and values obey matchers, the range and the limit.
func TestLabels(t *testing.T) {
	src := &memSource{chunkLen: 2}
	for i, ls := range []labels.Labels{
		labels.FromStrings(model.MetricNameLabel, "up", "job", "a", "zone", "x"),
		labels.FromStrings(model.MetricNameLabel, "up", "job", "b"),
		labels.FromStrings(model.MetricNameLabel, "down", "job", "c", "rack", "1"),
	} {
		require.NoError(t, src.add(ls, sample{t: int64(100 * (i + 1)), f: 1}))
	}
	job := labels.MustNewMatcher(labels.MatchRegexp, "job", "a|c")
	noZone := labels.MustNewMatcher(labels.MatchEqual, "zone", "")

	for name, c := range map[string]struct {
		mint, maxt    int64
		limit         int
		ms            []*labels.Matcher
		names, values []string
	}{
		"all":        {0, 1000, 0, nil, []string{model.MetricNameLabel, "job", "rack", "zone"}, []string{"a", "b", "c"}},
		"limit":      {0, 1000, 2, nil, []string{model.MetricNameLabel, "job"}, []string{"a", "b"}},
		"range":      {150, 250, 0, nil, []string{model.MetricNameLabel, "job"}, []string{"b"}},
		"matcher":    {0, 1000, 0, []*labels.Matcher{job}, []string{model.MetricNameLabel, "job", "rack", "zone"}, []string{"a", "c"}},
		"no zone":    {0, 1000, 0, []*labels.Matcher{noZone}, []string{model.MetricNameLabel, "job", "rack"}, []string{"b", "c"}},
		"all three":  {250, 1000, 1, []*labels.Matcher{job, noZone}, []string{model.MetricNameLabel}, []string{"c"}},
		"wrong way":  {300, 100, 0, nil, nil, nil},
		"other time": {5000, 6000, 0, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := New(src).Querier(c.mint, c.maxt)
			require.NoError(t, err)
			names, warnings, err := q.LabelNames(t.Context(), &storage.LabelHints{Limit: c.limit}, c.ms...)
			require.NoError(t, err)
			require.Empty(t, warnings)
			require.Equal(t, c.names, names)
			values, warnings, err := q.LabelValues(t.Context(), "job", &storage.LabelHints{Limit: c.limit}, c.ms...)
			require.NoError(t, err)
			require.Empty(t, warnings)
			require.Equal(t, c.values, values)
		})
	}
	q, err := New(src).ChunkQuerier(0, 1000)
	require.NoError(t, err)
	names, _, err := q.LabelNames(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, names, 4)
}

// Exemplars are not kept; asking for them is not an error, and the answer is a list that JSON prints as one.
func TestNoExemplars(t *testing.T) {
	q, err := New(&memSource{}).ExemplarQuerier(t.Context())
	require.NoError(t, err)
	got, err := q.Select(0, 1000, []*labels.Matcher{everything})
	require.NoError(t, err)
	require.NotNil(t, got)
	require.Empty(t, got)
}

// canned is a Source whose answer is written down beforehand: an error, or series that need not be well formed.
type canned struct {
	Source
	err  error
	list []engine.Series
}

func (f canned) SelectPart(context.Context, engine.Part, int64, int64, ...*labels.Matcher) ([]engine.Series, error) {
	return f.list, f.err
}

// What goes wrong in the source or in a chunk's bytes reaches the reader as an error that names the series, for
// samples and for chunks; nothing panics and nothing is passed off as a shorter series.
func TestErrorsSurface(t *testing.T) {
	broken := errors.New("broken")
	q, err := New(canned{err: broken}).Querier(0, 10)
	require.NoError(t, err)
	set := q.Select(t.Context(), true, nil, everything)
	require.False(t, set.Next())
	require.ErrorIs(t, set.Err(), broken)
	cq, err := New(canned{err: broken}).ChunkQuerier(0, 10)
	require.NoError(t, err)
	cset := cq.Select(t.Context(), true, nil, everything)
	require.False(t, cset.Next())
	require.ErrorIs(t, cset.Err(), broken)

	good := floats(t, 0, map[string][]int64{"a": {1, 2, 3, 4, 5, 6}})
	list, err := good.Select(t.Context(), 0, 10, everything)
	require.NoError(t, err)
	whole := list[0].Chunks[0]
	for name, bad := range map[string]engine.Chunk{
		"no bytes":         {MinT: 1, MaxT: 6, Enc: chunkenc.EncXOR},
		"half a header":    {MinT: 1, MaxT: 6, Enc: chunkenc.EncXOR, Data: whole.Data[:1]},
		"cut off":          {MinT: 1, MaxT: 6, Enc: chunkenc.EncXOR, Data: whole.Data[:len(whole.Data)-3]},
		"unknown encoding": {MinT: 1, MaxT: 6, Enc: 77, Data: whole.Data},
	} {
		t.Run(name, func(t *testing.T) {
			src := canned{list: []engine.Series{{Labels: labels.FromStrings(model.MetricNameLabel, "a"), Chunks: []engine.Chunk{bad, whole}}}}
			for _, read := range []func(it chunkenc.Iterator) chunkenc.ValueType{
				func(it chunkenc.Iterator) chunkenc.ValueType { return it.Next() },
				func(it chunkenc.Iterator) chunkenc.ValueType { return it.Seek(6) },
			} {
				q, err := New(src).Querier(0, 10)
				require.NoError(t, err)
				set := q.Select(t.Context(), true, nil, everything)
				require.True(t, set.Next())
				it := set.At().Iterator(nil)
				n := 0
				for read(it) != chunkenc.ValNone && n < 10 {
					n++
				}
				require.Less(t, n, 6)
				require.ErrorContains(t, it.Err(), `__name__="a"`)
				require.Equal(t, chunkenc.ValNone, it.Next(), "went on after an error")
			}
			// A range that cuts the chunk makes the chunk querier decode it.
			cq, err := New(src).ChunkQuerier(2, 10)
			require.NoError(t, err)
			cset := cq.Select(t.Context(), true, nil, everything)
			require.True(t, cset.Next())
			_, err = storage.ExpandChunks(cset.At().Iterator(nil))
			require.ErrorContains(t, err, `__name__="a"`)
		})
	}
}

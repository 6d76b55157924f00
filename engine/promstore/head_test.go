package promstore

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// The corpus: what both storages hold in the differential tests.

// corpus is a set of float series, written down in the order of their labels.
type corpus []corpusSeries

type corpusSeries struct {
	labels  labels.Labels
	samples []sample
}

// The time that a corpus covers, in milliseconds: an hour, so that all of it is accepted in any order, across the end
// of a block range of two hours, where chunks are cut.
const (
	corpusSpan  = 3_600_000
	corpusStart = 2*3_600_000 - corpusSpan/2
	corpusEnd   = corpusStart + corpusSpan
)

// newCorpus makes n series whose label sets overlap in all the ways that matchers care about: labels that all have,
// some have, one has; values that are prefixes of each other, not ASCII, or look like a regular expression.
func newCorpus(rng *rand.Rand, n int) corpus {
	byKey := map[string]corpusSeries{}
	for len(byKey) < n {
		b := labels.NewBuilder(labels.EmptyLabels())
		b.Set(model.MetricNameLabel, pick(rng, "up", "down", "http_requests_total", "http_requests", "a.b", "höhe"))
		b.Set("id", fmt.Sprint(rng.IntN(n)))
		for _, name := range []string{"job", "zone", "le", "UPPER"} {
			if rng.IntN(3) > 0 {
				b.Set(name, pick(rng, corpusValues...))
			}
		}
		if rng.IntN(n) == 0 {
			b.Set("once", "yes")
		}
		s := corpusSeries{labels: b.Labels()}
		at := corpusStart + rng.Int64N(corpusSpan)
		for range rng.IntN(300) {
			at += 1 + rng.Int64N(20_000)
			if at >= corpusEnd {
				break
			}
			s.samples = append(s.samples, sample{t: at, f: corpusValue(rng)})
		}
		if len(s.samples) > 0 {
			byKey[s.labels.String()] = s
		}
	}
	var out corpus
	for _, s := range byKey {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b corpusSeries) int { return labels.Compare(a.labels, b.labels) })
	return out
}

var corpusValues = []string{"a", "b", "ab", "abc", "a|b", ".*", "A", "0", "0.5", "+Inf", "ünïcode", "line\nbreak", "x y"}

func corpusValue(rng *rand.Rand) float64 {
	switch rng.IntN(8) {
	case 0:
		return math.Float64frombits(value.StaleNaN)
	case 1:
		return pick(rng, math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), math.MaxFloat64)
	default:
		return float64(rng.IntN(1000))
	}
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// matcherPool is what random matcher sets are drawn from: all four kinds, on labels that all, some, one and no series
// have, with every way to write "empty", "anything" and "nothing".
func matcherPool() []*labels.Matcher {
	var out []*labels.Matcher
	for _, name := range []string{model.MetricNameLabel, "job", "zone", "once", "id", "missing"} {
		for _, text := range append([]string{"", "up", "yes", "7", "nowhere", "höhe"}, corpusValues...) {
			out = append(out,
				labels.MustNewMatcher(labels.MatchEqual, name, text),
				labels.MustNewMatcher(labels.MatchNotEqual, name, text))
		}
		for _, re := range []string{
			"", ".*", ".+", ".", "^$", "()", "|", "a|", "|a", "a?", "a*", "(a|b)", "a|b|ab", "a.*", ".*b", ".*b.*", "[ab]+",
			"(?i)a", "up|down", "http_.*_total", "http_.+", "\\.\\*", "a\\|b", "1.", "nowhere", "nowhere|", "(nowhere)?", "ü.*", "x.y", "line.break", "[^a]*",
		} {
			out = append(out,
				labels.MustNewMatcher(labels.MatchRegexp, name, re),
				labels.MustNewMatcher(labels.MatchNotRegexp, name, re))
		}
	}
	return out
}

// headOf puts c into a real head of Prometheus.
func headOf(t testing.TB, c corpus) *tsdb.Head {
	t.Helper()
	opts := tsdb.DefaultHeadOptions()
	opts.ChunkDirRoot = t.TempDir()
	opts.EnableSharding = true
	head, err := tsdb.NewHead(nil, nil, nil, nil, opts, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, head.Close()) })
	require.NoError(t, head.Init(0))
	app := head.AppenderV2(t.Context())
	for _, s := range c {
		for _, v := range s.samples {
			_, err := app.Append(0, s.labels, 0, v.t, v.f, nil, nil, storage.AppendV2Options{})
			require.NoError(t, err)
		}
	}
	require.NoError(t, app.Commit())
	return head
}

// answer is the samples of a selection in the order of the set, a line a series, float bits and all.
func answer(t testing.TB, set storage.SeriesSet) []string {
	t.Helper()
	var out []string
	var line []byte
	var it chunkenc.Iterator
	for set.Next() {
		s := set.At()
		it = s.Iterator(it)
		if line = appendSamples(line[:0], it); len(line) > 0 { // A series without samples depends on where chunks end.
			out = append(out, s.Labels().String()+string(line))
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	return out
}

// chunkAnswer is answer for a set of chunks.
func chunkAnswer(t testing.TB, set storage.ChunkSeriesSet) []string {
	t.Helper()
	var out []string
	var line []byte
	var si chunkenc.Iterator
	for set.Next() {
		s := set.At()
		it := s.Iterator(nil)
		for line = line[:0]; it.Next(); {
			si = it.At().Chunk.Iterator(si)
			line = appendSamples(line, si)
			require.NoError(t, si.Err())
		}
		require.NoError(t, it.Err())
		if len(line) > 0 {
			out = append(out, s.Labels().String()+string(line))
		}
	}
	require.NoError(t, set.Err())
	return out
}

func appendSamples(dst []byte, it chunkenc.Iterator) []byte {
	for it.Next() != chunkenc.ValNone {
		at, v := it.At()
		dst = strconv.AppendInt(append(dst, ' '), at, 10)
		dst = strconv.AppendUint(append(dst, ':'), math.Float64bits(v), 16)
	}
	return dst
}

// sameAsHead asks storage q and a head of Prometheus with the same samples the same questions, drawn at random from
// rng, and compares the answers: selections of samples and of chunks, label names, label values.
func sameAsHead(t *testing.T, rng *rand.Rand, head *tsdb.Head, q *Queryable, questions int) {
	pool := matcherPool()
	nonEmpty := 0
	for range questions {
		ms := make([]*labels.Matcher, 1+rng.IntN(4))
		for i := range ms {
			ms[i] = pick(rng, pool...)
		}
		mint := corpusStart + rng.Int64N(corpusSpan)
		maxt := mint + rng.Int64N(corpusEnd-mint)
		hints := &storage.SelectHints{Start: mint, End: maxt}
		if rng.IntN(4) == 0 {
			hints.ShardCount, hints.ShardIndex = 2, rng.Uint64N(2)
		}
		if rng.IntN(4) == 0 {
			mint, maxt = mint-rng.Int64N(1_000_000), maxt+1000
		}
		what := fmt.Sprintf("%v in [%d, %d], hints %+v", ms, mint, maxt, *hints)

		block := tsdb.NewRangeHead(head, mint, maxt)
		theirs, err := tsdb.NewBlockQuerier(block, mint, maxt)
		require.NoError(t, err)
		ours, err := q.Querier(mint, maxt)
		require.NoError(t, err)
		want := answer(t, theirs.Select(t.Context(), true, hints, slices.Clone(ms)...))
		require.Equal(t, want, answer(t, ours.Select(t.Context(), true, hints, ms...)), what)
		if len(want) > 0 {
			nonEmpty++
		}
		unsorted := answer(t, ours.Select(t.Context(), false, hints, ms...))
		require.ElementsMatch(t, want, unsorted, what)

		chunked, err := q.ChunkQuerier(mint, maxt)
		require.NoError(t, err)
		require.Equal(t, want, chunkAnswer(t, chunked.Select(t.Context(), true, hints, ms...)), what)
		require.NoError(t, theirs.Close())
		require.NoError(t, ours.Close())

		sameLabels(t, head, q, pick(rng, model.MetricNameLabel, "job", "zone", "once", "missing"), ms)
	}
	// About a third of them have. Of 50 it must not be chance that fails.
	require.Greater(t, nonEmpty, questions/20, "too few of the questions have an answer to compare")
}

// sameLabels compares label names and values. The range holds the whole corpus: the head looks at its own range
// only, we at the series'.
func sameLabels(t *testing.T, head *tsdb.Head, q *Queryable, name string, ms []*labels.Matcher) {
	theirs, err := tsdb.NewBlockQuerier(tsdb.NewRangeHead(head, corpusStart, corpusEnd), corpusStart, corpusEnd)
	require.NoError(t, err)
	defer func() { require.NoError(t, theirs.Close()) }()
	ours, err := q.Querier(corpusStart, corpusEnd)
	require.NoError(t, err)

	want, _, err := theirs.LabelValues(t.Context(), name, nil, slices.Clone(ms)...)
	require.NoError(t, err)
	got, _, err := ours.LabelValues(t.Context(), name, nil, ms...)
	require.NoError(t, err)
	require.True(t, slices.Equal(want, got), "values of %s in %v: want %q, got %q", name, ms, want, got)
	limited, _, err := ours.LabelValues(t.Context(), name, &storage.LabelHints{Limit: 2}, ms...)
	require.NoError(t, err)
	require.True(t, slices.Equal(want[:min(2, len(want))], limited), "two values of %s in %v: %q of %q", name, ms, limited, want)

	want, _, err = theirs.LabelNames(t.Context(), nil, slices.Clone(ms)...)
	require.NoError(t, err)
	got, _, err = ours.LabelNames(t.Context(), nil, ms...)
	require.NoError(t, err)
	require.True(t, slices.Equal(want, got), "names in %v: want %q, got %q", ms, want, got)
	limited, _, err = ours.LabelNames(t.Context(), &storage.LabelHints{Limit: 2}, ms...)
	require.NoError(t, err)
	require.True(t, slices.Equal(want[:min(2, len(want))], limited), "two names in %v: %q of %q", ms, limited, want)
}

// everyMatcherAlone asks for each matcher of the pool by itself, which covers all forms of an empty matcher one by one.
func everyMatcherAlone(t *testing.T, head *tsdb.Head, q *Queryable) {
	theirs, err := tsdb.NewBlockQuerier(tsdb.NewRangeHead(head, corpusStart, corpusEnd), corpusStart, corpusEnd)
	require.NoError(t, err)
	ours, err := q.Querier(corpusStart, corpusEnd)
	require.NoError(t, err)
	for _, m := range matcherPool() {
		require.Equal(t, answer(t, theirs.Select(t.Context(), true, nil, m)), answer(t, ours.Select(t.Context(), true, nil, m)), m)
	}
	for _, name := range []string{model.MetricNameLabel, "job", "missing"} {
		sameLabels(t, head, q, name, nil)
	}
	require.NoError(t, theirs.Close())
}

// The same samples in a head of Prometheus and in the simple source give the same answers to random questions,
// whatever the length of the chunks.
func TestSameAsHead(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, chunkLen := range []int{1, 7, 120} {
		rng := rand.New(rand.NewPCG(seed, uint64(chunkLen)))
		c := newCorpus(rng, 60)
		src := &memSource{chunkLen: chunkLen}
		for _, s := range c {
			for _, v := range s.samples {
				require.NoError(t, src.add(s.labels, v))
			}
		}
		t.Run(fmt.Sprintf("chunk=%d", chunkLen), func(t *testing.T) {
			sameAsHead(t, rng, headOf(t, c), New(src), 100)
		})
	}
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
)

// Prometheus's own head is the oracle: the same random appends, in order and out of it, duplicates, stale markers, special
// values, far times, are stored or refused for the same reason by both, and any matchers find the same series with the
// same samples in both; in ours after a restart too.
func TestSameAsPrometheusHead(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { newDuel(t, seed).run() })
	}
}

type duel struct {
	t      *testing.T
	rng    *rand.Rand
	asks   *rand.Rand // of questions alone, so that a new one changes nothing else
	head   *tsdb.Head
	c      Config
	e      *Engine
	series []labels.Labels
	last   map[string]Sample // as it was sent
	now    int64
}

func newDuel(t *testing.T, seed uint64) *duel {
	d := &duel{t: t, rng: rand.New(rand.NewPCG(seed, 5)), asks: rand.New(rand.NewPCG(seed, 6)), last: map[string]Sample{}, now: testNow.UnixMilli()}
	opts := tsdb.DefaultHeadOptions()
	opts.ChunkDirRoot = t.TempDir()
	opts.ChunkRange = blockRange
	var err error
	d.head, err = tsdb.NewHead(nil, nil, nil, nil, opts, nil)
	require.NoError(t, err)
	require.NoError(t, d.head.Init(math.MinInt64))
	t.Cleanup(func() { require.NoError(t, d.head.Close()) })
	d.c = testConfig(t, func(c *Config) {
		c.CreateGrace, c.Stripes = 200*365*24*time.Hour, 1<<d.rng.IntN(4)
		c.MatchCacheBytes = int64(seed%2) << 14 // the little that the second one remembers is hardly anything
	})
	d.e = start(t, d.c)
	values := func(n int) string { return oneOf(d.rng, "", "x", "ä", "a b", fmt.Sprint(d.rng.IntN(n))) }
	for len(d.series) < 60 {
		l := labels.FromMap(map[string]string{
			"__name__": fmt.Sprint("m", d.rng.IntN(4)), "a": values(10), "b": values(3), "long": values(1000), "z": values(2),
		}).WithoutEmpty()
		if !slices.ContainsFunc(d.series, func(x labels.Labels) bool { return labels.Equal(x, l) }) {
			d.series = append(d.series, l)
		}
	}
	return d
}

func (d *duel) run() {
	// In its first request a head judges by the first sample of it.
	d.request([]labels.Labels{d.series[0]})
	for k := range 400 {
		var of []labels.Labels
		for _, l := range d.series {
			if d.rng.IntN(4) > 0 {
				of = append(of, l)
			}
		}
		d.rng.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
		d.request(of)
		d.now += d.rng.Int64N(60_000)
		if d.rng.IntN(40) == 0 {
			d.now += d.rng.Int64N(3 * blockRange)
		}
		if k%20 == 0 {
			d.query()
		}
		if k%150 == 149 {
			require.NoError(d.t, d.e.Close())
			d.e = start(d.t, d.c)
			d.query()
		}
	}
	for range 60 {
		d.query()
	}
}

// sample is the next one for a series: mostly what a scrape gives, and everything else.
func (d *duel) sample(l labels.Labels) Sample {
	last, sent := d.last[l.String()]
	s := Sample{T: d.now, V: math.Float64bits(float64(d.rng.IntN(1000)))}
	switch d.rng.IntN(20) {
	case 0:
		s.V = value.StaleNaN
	case 1:
		s.V = oneOf(d.rng, value.NormalNaN, math.Float64bits(math.Inf(-1)), 1<<63, 1, d.rng.Uint64())
	case 2, 3:
		s.T -= d.rng.Int64N(2 * 3600_000)
	case 4:
		s.T -= d.rng.Int64N(4 * blockRange)
	case 5:
		s.T = oneOf(d.rng, 0, -1, math.MinInt64+1, s.T-3600_000, s.T-3599_999, s.T-3600_001)
	case 6:
		s.T += d.rng.Int64N(10_000)
	case 7, 8:
		if sent {
			s = last
		}
	case 9:
		if sent {
			s.T = last.T
		}
	case 10:
		if sent && last.T > math.MinInt64 { // a head knows no future, and would take what that wraps to
			s.T = last.T - 1
		}
	}
	d.last[l.String()] = s
	return s
}

// request sends one sample for each of some series to both, and compares what became of each.
func (d *duel) request(of []labels.Labels) {
	t := d.t
	app := d.head.Appender(context.Background())
	var b Batch
	var want [NumReasons]int
	first := ReasonNone
	for _, l := range of {
		s := d.sample(l)
		add(&b, l, s)
		_, err := app.Append(0, l, s.T, math.Float64frombits(s.V))
		r := reasonOf(t, err)
		if want[r]++; first == ReasonNone {
			first = r
		}
	}
	require.NoError(t, app.Commit())
	before := d.rejected()
	res, err := d.e.Append(context.Background(), "t", &b)
	var refused *SampleError
	if first == ReasonNone {
		require.NoError(t, err)
	} else {
		require.True(t, errors.As(err, &refused), "%v", err)
		require.Equal(t, first, refused.Reason)
	}
	require.Equal(t, len(of), res.Stored+res.Duplicates+res.Rejected)
	after := d.rejected()
	for r := Reason(1); r < numReasons; r++ {
		require.Equal(t, want[r], after[r.String()]-before[r.String()], "refused as %v", r)
	}
}

// rejected is how many samples were refused so far, by reason.
func (d *duel) rejected() map[string]int {
	var st Stats
	if ten := d.e.Tenant("t"); ten != nil {
		ten.Stats(&st)
	}
	out := map[string]int{}
	for _, x := range st.Discards {
		out[x.Reason] += x.Samples
	}
	return out
}

func reasonOf(t *testing.T, err error) Reason {
	switch {
	case err == nil:
		return ReasonNone
	case errors.Is(err, storage.ErrOutOfBounds):
		return ReasonOutOfBounds
	case errors.Is(err, storage.ErrOutOfOrderSample):
		return ReasonOutOfOrder
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		return ReasonNewValue
	}
	require.NoError(t, err)
	return ReasonNone
}

// query asks both for the same and compares.
func (d *duel) query() {
	t := d.t
	mint, maxt := int64(math.MinInt64), int64(math.MaxInt64)
	if d.rng.IntN(2) == 0 {
		mint = d.now - d.rng.Int64N(10*blockRange)
		maxt = mint + d.rng.Int64N(5*blockRange)
	}
	var ms []*labels.Matcher
	for range 1 + d.rng.IntN(3) {
		ms = append(ms, d.matcher())
	}
	got := map[string][]Sample{}
	series, err := d.e.Tenant("t").Select(context.Background(), mint, maxt, ms...)
	require.NoError(t, err)
	for _, s := range series {
		if x := within(samplesOf(t, s), mint, maxt); len(x) > 0 {
			got[s.Labels.String()] = x
		}
	}
	want := map[string][]Sample{}
	q, err := tsdb.NewBlockQuerier(d.head, mint, maxt)
	require.NoError(t, err)
	defer q.Close()
	for set := q.Select(context.Background(), false, nil, ms...); set.Next(); {
		var x []Sample
		it := set.At().Iterator(nil)
		for it.Next() == chunkenc.ValFloat {
			ts, v := it.At()
			x = append(x, Sample{ts, math.Float64bits(v)})
		}
		require.NoError(t, it.Err())
		if len(x) > 0 {
			want[set.At().Labels().String()] = x
		}
	}
	require.Equal(t, want, got, "%v from %d to %d", ms, mint, maxt)

	d.parts(mint, maxt, ms)
	name := oneOf(d.rng, "__name__", "a", "b", "long", "z", "nowhere")
	if mint == math.MinInt64 {
		d.labels(q, name, ms)
		d.labels(q, name, nil)
	}
}

// parts compares the parts of the series with the whole: of each the last sample in the range, and that it is there.
func (d *duel) parts(mint, maxt int64, ms []*labels.Matcher) {
	t, ten := d.t, d.e.Tenant("t")
	whole := map[string][]Sample{}
	series, err := ten.Select(t.Context(), mint, maxt, ms...)
	require.NoError(t, err)
	for _, s := range series {
		whole[s.Labels.String()] = within(samplesOf(t, s), mint, maxt)
	}
	last, err := ten.SelectPart(t.Context(), LastSample, mint, maxt, ms...)
	require.NoError(t, err)
	require.Len(t, last, len(whole))
	for _, s := range last {
		got, want := within(samplesOf(t, s), mint, maxt), whole[s.Labels.String()]
		require.Equal(t, want[max(len(want)-1, 0):], got[max(len(got)-1, 0):], "last sample of %s from %d to %d", s.Labels, mint, maxt)
	}
	none, err := ten.SelectPart(t.Context(), NoSamples, mint, maxt, ms...)
	require.NoError(t, err)
	require.Len(t, none, len(whole))
	for _, s := range none {
		require.Contains(t, whole, s.Labels.String())
		require.Empty(t, s.Chunks)
	}
	since, err := ten.Select(t.Context(), mint, math.MaxInt64)
	require.NoError(t, err)
	require.EqualValues(t, len(since), ten.Active(mint), "active since %d", mint)
	for _, part := range []Part{AllSamples, NoSamples} {
		var mu sync.Mutex
		streamed := map[string]int{}
		require.NoError(t, ten.Stream(t.Context(), part, mint, maxt, func(list []KeyedSeries) error {
			mu.Lock()
			defer mu.Unlock()
			for i := range list {
				require.Equal(t, part == NoSamples, len(list[i].Chunks) == 0)
				streamed[string(list[i].Key)]++
			}
			return nil
		}, ms...))
		require.Len(t, streamed, len(whole))
		for _, s := range series {
			require.Equal(t, 1, streamed[string(keyOf(s.Labels))], "%s, part %d", s.Labels, part)
		}
	}
}

// labels compares values and names, all of them and the first few.
func (d *duel) labels(q storage.Querier, name string, ms []*labels.Matcher) {
	t := d.t
	limit := oneOf(d.asks, 0, 1, 3)
	mine, err := d.e.Tenant("t").LabelValues(t.Context(), name, math.MinInt64, math.MaxInt64, limit, ms...)
	require.NoError(t, err)
	theirs, _, err := q.LabelValues(t.Context(), name, nil, ms...)
	require.NoError(t, err)
	slices.Sort(theirs)
	require.Equal(t, append([]string{}, firstOf(theirs, limit)...), append([]string{}, mine...), "values of %s, %v", name, ms)

	mine, err = d.e.Tenant("t").LabelNames(t.Context(), math.MinInt64, math.MaxInt64, limit, ms...)
	require.NoError(t, err)
	theirs, _, err = q.LabelNames(t.Context(), nil, ms...)
	require.NoError(t, err)
	slices.Sort(theirs)
	require.Equal(t, append([]string{}, firstOf(theirs, limit)...), append([]string{}, mine...), "names, %v", ms)
}

func within(s []Sample, mint, maxt int64) []Sample {
	return slices.DeleteFunc(s, func(s Sample) bool { return s.T < mint || s.T > maxt })
}

func (d *duel) matcher() *labels.Matcher {
	name := oneOf(d.rng, "__name__", "a", "a", "b", "long", "z", "nowhere")
	kind := oneOf(d.rng, labels.MatchEqual, labels.MatchNotEqual, labels.MatchRegexp, labels.MatchNotRegexp)
	v := oneOf(d.rng, "", "x", "ä", "a b", "m1", "m3", fmt.Sprint(d.rng.IntN(10)))
	if kind == labels.MatchRegexp || kind == labels.MatchNotRegexp {
		v = oneOf(d.rng, v, v+"|x", ".*", ".+", "", "[0-9]+", "m[12]", "(m1|m2|x|a b)", "1.*", "|x", ".*b")
	}
	return labels.MustNewMatcher(kind, name, v)
}

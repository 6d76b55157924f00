package engine

import (
	"math"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/walio"
)

// freshStripe is the only stripe of a tenant that nothing is recovered for, in so much address space.
func freshStripe(t *testing.T, reserve uint64) (*stripe, *replayer) {
	s := &stripe{reserve: reserve, logged: true, chunks: newChunkStore(nil, "", 0, 1)}
	t.Cleanup(func() {
		if s.a != nil {
			require.NoError(t, s.a.Release())
		}
	})
	ten := &Tenant{}
	ten.floor.Store(math.MinInt64)
	return s, &replayer{t: ten}
}

// window is entries as the log gives them back.
func (s *stripe) window(entries []entry) []walio.StripeWindow {
	w := walio.StripeWindow{}
	base := testNow.UnixMilli()
	for _, e := range entries {
		if e.kind == entrySeries {
			w.Series = append(w.Series, walio.SeriesDef{Ref: s.ref(e.index), Key: s.appendKey(nil, arena.Ref(e.t))})
		} else {
			w.Samples = append(w.Samples, walio.RefSample{Index: e.index, Offset: int32(e.t - base), V: e.v})
		}
	}
	w.Runs = []walio.Run{{Kind: walio.RunSeries, Hi: uint32(len(w.Series))}, {Kind: walio.RunSamples, Hi: uint32(len(w.Samples)), Base: base}}
	return []walio.StripeWindow{w}
}

// What a stripe took until its address space was used up fits again when the log is replayed, though replay
// sets more room aside at a time than small requests do.
func TestReplayOfAFullStripe(t *testing.T) {
	const reserve = 8 << 20
	live, _ := freshStripe(t, reserve)
	bd := bounds{minT: math.MinInt64, maxT: math.MaxInt64}
	var (
		took []entry
		o    outcome
		err  error
	)
	for k := 0; err == nil; k++ {
		var b Batch
		add(&b, pod(k/10), sample(testNow.UnixMilli()+int64(k), float64(k)))
		err = live.appendAlone(&b, bd, &o)
		took = live.takePending(took, 1)
	}
	require.ErrorIs(t, err, arena.ErrFull)

	s, p := freshStripe(t, reserve)
	require.NoError(t, p.apply(s, live.window(took)))
	require.Equal(t, int64(o.stored), p.samples.Load())
	require.Equal(t, live.root.live, s.root.live)
}

// A log that is whole and yet says what cannot be: series of other stripes, indexes out of bounds, and such as
// would break the order of the lists. They are refused and counted, the stripe stays sound, and goes on.
func TestReplayRefusesSeries(t *testing.T) {
	s, p := freshStripe(t, 64<<20)
	key := func(i int) []byte { return keyOf(pod(i)) }
	w := walio.StripeWindow{Series: []walio.SeriesDef{
		{Ref: 5, Key: key(5)},
		{Ref: 5, Key: key(5)},          // once more: no fault
		{Ref: 0, Key: key(1)},          // index 0 is none
		{Ref: 4, Key: key(4)},          // below one that is there
		{Ref: 6, Key: key(5)},          // a second index for a series
		{Ref: 7, Key: []byte{1, 2, 3}}, // no key
		{Ref: maxIndex, Key: key(2)},   // out of bounds
		{Ref: 1<<32 - 1, Key: key(2)},  // the next index would be 0
		{Ref: 1<<32 + 8, Key: key(3)},  // the same, cut to 32 bits
		{Ref: 9, Key: key(9)},
	}}
	w.Runs = []walio.Run{{Kind: walio.RunSeries, Hi: uint32(len(w.Series))}}
	require.NoError(t, p.apply(s, []walio.StripeWindow{w}))
	require.Equal(t, int64(2), p.series.Load())
	require.Equal(t, int64(7), p.misplaced.Load())
	require.NoError(t, s.walk())

	s.root.next = maxIndex // all have been used
	var b Batch
	add(&b, pod(10), sample(0, 1))
	require.ErrorIs(t, s.appendAlone(&b, bounds{maxT: 1}, &outcome{}), arena.ErrFull)
	s.root.next++
	require.ErrorContains(t, s.walk(), "indexes below")
}

// A panic in the middle of a replay ends the process: whoever recovered from it would go on with a stripe that
// is half changed.
func TestPanicInReplay(t *testing.T) {
	s, p := freshStripe(t, 64<<20)
	key := keyOf(pod(1))
	w := walio.StripeWindow{Series: []walio.SeriesDef{{Ref: 1, Key: key}}, Runs: []walio.Run{{Kind: walio.RunSeries, Hi: 1}}}
	require.NoError(t, p.apply(s, []walio.StripeWindow{w}))
	rec := s.record(s.find(key, xxhash.Sum64(key)))
	rec.chunk, rec.state.T, rec.state.N, rec.state.Bits = 1, 0, 1, 136*480 // no chunk is longer

	var cause any
	defer func(f func(int, any, []byte)) { exit = f }(exit)
	exit = func(_ int, c any, _ []byte) { cause = c }
	w = walio.StripeWindow{Samples: []walio.RefSample{{Index: 1, Offset: 1}}, Runs: []walio.Run{{Kind: walio.RunSamples, Hi: 1}}}
	require.NoError(t, p.apply(s, []walio.StripeWindow{w}))
	require.NotNil(t, cause)
}

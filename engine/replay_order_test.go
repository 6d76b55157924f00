package engine

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/walio"
)

type timedSample struct {
	t int64
	v uint64
}

// However samples lie in windows and runs, and however many series there are: all come, series after series where
// there are as many samples as series, and those of a series in the order of the log. An index that no series has,
// which only a damaged log contains, is not lost either.
func TestOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		indexes := uint32(1) << r.IntN(14)
		var windows []walio.StripeWindow
		want := map[uint32][]timedSample{}
		n, base := 0, int64(0)
		for range r.IntN(4) {
			w := walio.StripeWindow{Runs: []walio.Run{{Kind: walio.RunSeries, Hi: 7}}}
			for range r.IntN(5) {
				if r.IntN(3) == 0 {
					base = r.Int64()
				}
				base += r.Int64N(1 << 31)
				run := walio.Run{Kind: walio.RunSamples, Lo: uint32(len(w.Samples)), Base: base}
				for range r.IntN(orderMax / 4) {
					x := walio.RefSample{V: uint64(n), Index: r.Uint32N(indexes), Offset: int32(r.Uint32())}
					if r.IntN(1000) == 0 {
						x.Index = r.Uint32()
					}
					w.Samples = append(w.Samples, x)
					want[x.Index] = append(want[x.Index], timedSample{base + int64(x.Offset), x.V})
					n++
				}
				run.Hi = uint32(len(w.Samples))
				w.Runs = append(w.Runs, run)
			}
			windows = append(windows, w)
		}

		var o order
		got := map[uint32][]timedSample{}
		for c := (cursor{windows: windows}); o.load(&c, indexes); {
			for _, x := range o.samples {
				got[x.Index] = append(got[x.Index], timedSample{o.base + int64(x.Offset), x.V})
			}
			inOrder := slices.IsSortedFunc(o.samples, func(a, b walio.RefSample) int { return int(min(a.Index, indexes)) - int(min(b.Index, indexes)) })
			require.True(t, inOrder || len(o.samples) < int(indexes))
		}
		require.Equal(t, want, got)
	}
}

// Nothing to order is the end, also behind runs without samples.
func TestOrderOfNothing(t *testing.T) {
	var o order
	require.False(t, o.load(&cursor{}, math.MaxUint32))
	require.False(t, o.load(&cursor{windows: []walio.StripeWindow{{Runs: []walio.Run{{Kind: walio.RunSamples}, {Kind: walio.RunSeries, Hi: 1}}}}}, 1))
}

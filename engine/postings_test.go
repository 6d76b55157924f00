package engine

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena"
)

// What lists in an arena have in common, and what they are together, is what the same sets of numbers have and are: of
// any lengths, dense and sparse, with blocks that are skipped whole. A copy of a list's head stays the list of its
// moment while the list grows.
func TestListsAsSets(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	a, err := arena.New(16 << 20)
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Release()) }()
	grow := func(l *arena.List, values []uint32, n int) []uint32 {
		next := uint32(1)
		if len(values) > 0 {
			next += values[len(values)-1]
		}
		step := oneOf(rng, uint32(1), 3, 100)
		for range n {
			next += rng.Uint32N(step)
			require.NoError(t, l.Append(a, next))
			values = append(values, next)
			next++
		}
		return values
	}
	for range 300 {
		var lists [2]arena.List
		var values [2][]uint32
		for i := range lists {
			values[i] = grow(&lists[i], nil, rng.IntN(oneOf(rng, 5, 40, 3000)))
		}
		heads := lists
		for i := range lists {
			_ = grow(&lists[i], values[i], rng.IntN(600))
		}
		var both, union []uint32
		for _, v := range values[0] {
			if _, ok := slices.BinarySearch(values[1], v); ok {
				both = append(both, v)
			}
		}
		union = append(append(union, values[0]...), values[1]...)
		slices.Sort(union)
		union = slices.Compact(union)

		require.Equal(t, append([]uint32{}, both...), intersect(a, slices.Clone(append([]uint32{}, values[0]...)), heads[1]))
		bound := rng.Uint32N(5000)
		below, _ := slices.BinarySearch(union, bound)
		require.Equal(t, append([]uint32{}, union[:below]...), bitmapOf(a, heads[:], bound).values())
	}
}

package engine

import (
	"math/bits"
	"slices"

	"github.com/rekindledb/rekindle/arena"
)

// Lists of series are read where they are, without the stripe's lock: it is held for copying a list's head. What
// that counts is never changed and never moves, as with label bytes.

// intersect keeps the values of sorted, ascending, that are in l, ascending, too. sorted is overwritten.
func intersect(a *arena.Arena, sorted []uint32, l arena.List) []uint32 {
	out, rest := sorted[:0], sorted
	l.Walk(a, func(run []uint32) bool {
		last := run[len(run)-1]
		for len(rest) > 0 && rest[0] <= last {
			run = run[gallop(run, rest[0]):]
			if run[0] == rest[0] {
				out = append(out, rest[0])
			}
			rest = rest[1:]
		}
		return len(rest) > 0
	})
	return out
}

// gallop is where the first value that is not below v stands in ascending values, of which the last is not below it.
// The nearer, the sooner it is found.
func gallop(values []uint32, v uint32) int {
	hi := 1
	for hi < len(values) && values[hi-1] < v {
		hi *= 2
	}
	lo := hi / 2
	i, _ := slices.BinarySearch(values[lo:min(hi, len(values))], v)
	return lo + i
}

// bitmap is a set of indexes.
type bitmap []uint64

// bitmapOf is the union of lists, as far as their values are below next.
func bitmapOf(a *arena.Arena, lists []arena.List, next uint32) bitmap {
	b := make(bitmap, next/64+1)
	for _, l := range lists {
		l.Walk(a, func(run []uint32) bool {
			for _, i := range run {
				if i < next {
					b[i/64] |= 1 << (i % 64)
				}
			}
			return true
		})
	}
	return b
}

func (b bitmap) has(i uint32) bool { return int(i/64) < len(b) && b[i/64]>>(i%64)&1 == 1 }

// values are the members, ascending.
func (b bitmap) values() []uint32 {
	n := 0
	for _, v := range b {
		n += bits.OnesCount64(v)
	}
	out := make([]uint32, 0, n)
	for w, v := range b {
		for ; v != 0; v &= v - 1 {
			out = append(out, uint32(w*64+bits.TrailingZeros64(v)))
		}
	}
	return out
}

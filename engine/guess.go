package engine

import (
	"math/bits"
	"unsafe"

	"github.com/rekindledb/rekindle/arena"
)

// guesses are steps of the trail, taken ahead of the comparison so that it finds in the cache what it needs. A group
// moves one place to the right when the last one is used up, and each move waits for nothing that it asks for:
//
//	steps taken,           label sets      compared with the set before   compared
//	records asked for      asked for       in the stripe, pairs that      with the request
//	                                       differ asked for
//	  third                  second          next                           first
type guesses struct {
	t      *Tenant // nil outside of Append, and if nothing can be guessed
	groups [4]guessGroup
	first  int                   // of groups
	k      int                   // in that: the next guess
	ref    uint32                // of the step behind all groups, 0 if the trail ends
	sets   [maxStripes]arena.Ref // the last one of each stripe that was compared
}

// guessGroup is the series of some steps.
type guessGroup struct {
	n       int
	series  [guessed]uint32 // by ref
	stripes [guessed]uint8
	refs    [guessed]arena.Ref
	recs    [guessed]*record
	before  [guessed]arena.Ref // the label set that comes before this one in the stripe, if it was compared with that
	differs [guessed]uint32    // where it differs from that, a bit a label
}

// guessed is how many steps are taken together. With more, more of them are in vain where a trail ends.
const guessed = 8

// reset forgets what belongs to an earlier request: there is no guess until begin.
func (g *guesses) reset(t *Tenant) {
	g.t, g.first, g.k = t, 0, 0
	g.groups[0].n = 0
	clear(g.sets[:])
}

// end says that nothing is to be guessed any more.
func (g *guesses) end() { g.t = nil }

// begin starts at the series ref, for up to n steps.
func (g *guesses) begin(ref uint32, n int) {
	g.first, g.k, g.ref = 0, 0, ref
	for i := range g.groups {
		g.walk(&g.groups[i], n-i*guessed)
	}
	for i := range 3 {
		g.fetchLabels(&g.groups[i])
	}
	for i := range 2 {
		g.fetchPairs(&g.groups[i])
	}
}

// next returns the group and the place in it of the next guess. There is none in an empty group. n is how many series
// are to come, the one that is guessed included.
func (g *guesses) next(n int) (*guessGroup, int) {
	first := &g.groups[g.first]
	if g.k < first.n || first.n == 0 {
		return first, g.k
	}
	g.k = 0
	place := func(i int) *guessGroup { return &g.groups[(g.first+i)%len(g.groups)] }
	g.fetchPairs(place(2))
	g.fetchLabels(place(3))
	g.walk(first, n-place(1).n-place(2).n-place(3).n)
	g.first = (g.first + 1) % len(g.groups)
	return &g.groups[g.first], 0
}

// walk takes up to n steps and asks for the records. Series that were made one after another have their steps side by side,
// so it asks for the next steps in each stripe too.
func (g *guesses) walk(to *guessGroup, n int) {
	t := g.t
	mask := uint32(len(t.stripes) - 1)
	var addrs, ahead [guessed]uintptr
	ref, k := g.ref, 0
	for n = min(n, guessed); k < n && ref != 0; k++ {
		s := &t.stripes[ref&mask]
		leaf, i := s.trail.leaf(ref >> t.log)
		var x step
		if leaf != nil {
			x = step(leaf[i].Load())
		}
		if x.record() == 0 {
			ref = 0
			break
		}
		rec := arena.At[record](s.a, x.record())
		to.series[k], to.stripes[k], to.refs[k], to.recs[k] = ref, uint8(ref&mask), x.record(), rec
		addrs[k], ahead[k] = uintptr(unsafe.Pointer(rec)), uintptr(unsafe.Pointer(&leaf[(i+trailLine)%uint32(len(leaf))]))
		ref = x.next()
	}
	to.n, g.ref = k, ref
	arena.Prefetch(addrs[:k])
	arena.Prefetch(ahead[:k])
}

// fetchLabels asks for the label sets of a group whose records are here by now. Most sets reach into a second line.
func (g *guesses) fetchLabels(of *guessGroup) {
	const line = 64
	var addrs [2 * guessed]uintptr
	for k := range of.n {
		set := uintptr(unsafe.Pointer(arena.At[uint32](g.t.stripes[of.stripes[k]].a, of.recs[k].labels)))
		addrs[2*k], addrs[2*k+1] = set, set+line/2
	}
	arena.Prefetch(addrs[:2*of.n])
}

// fetchPairs finds out where the sets of a group, which are here by now, differ from the ones before, and asks for the
// pairs there.
func (g *guesses) fetchPairs(of *guessGroup) {
	var addrs [8 * guessed]uintptr
	n := 0
	for k := range of.n {
		s := &g.t.stripes[of.stripes[k]]
		ref := of.recs[k].labels
		before := &g.sets[of.stripes[k]]
		of.before[k], of.differs[k] = *before, s.differing(ref, *before)
		*before = ref
		set := s.pairsOf(ref)
		for d := of.differs[k]; d != 0 && n < len(addrs); d &= d - 1 {
			i := bits.TrailingZeros32(d)
			if i >= len(set) {
				break
			}
			p := uintptr(unsafe.Pointer(arena.At[pair](s.a, arena.Ref(set[i]))))
			addrs[n], addrs[n+1] = p+unsafe.Offsetof(pair{}.size), p+uintptr(pairHead)+pairBytesUsual
			n += 2
		}
	}
	arena.Prefetch(addrs[:n])
}

// pairBytesUsual is less than most pairs have.
const pairBytesUsual = 24

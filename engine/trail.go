package engine

import (
	"sync"
	"sync/atomic"

	"github.com/rekindledb/rekindle/arena"
)

// trail is what a stripe remembers of the order in which its series are sent: 8 bytes a series, by index, of where
// its record lies and which series came next in the request that had it last.
//
//	step   record Ref in the upper half, ref of the next series in the lower; 0 = not known
//
// It belongs to the process, not to the image: a start begins without, and the first scrape lays it anew. It is read
// and written without the stripe's lock. Where a record lies is true as long as the arena is; what comes next is a
// guess, of any stripe, and whoever follows it compares the labels.
type trail struct {
	growing sync.Mutex
	leaves  atomic.Pointer[[]*trailLeaf]
}

type trailLeaf [1 << trailLeafLog]atomic.Uint64

const trailLeafLog = 9 // a page

type step uint64

func makeStep(rec arena.Ref, next uint32) step { return step(rec)<<32 | step(next) }

func (s step) record() arena.Ref { return arena.Ref(s >> 32) }
func (s step) next() uint32      { return uint32(s) }

// trailLine is how many steps a cache line has.
const trailLine = 8

// leaf returns the leaf that has the step of a series, and where in it; nil if there is no room for one yet.
func (t *trail) leaf(index uint32) (*trailLeaf, uint32) {
	leaves := t.leaves.Load()
	if leaves == nil || index>>trailLeafLog >= uint32(len(*leaves)) {
		return nil, 0
	}
	return (*leaves)[index>>trailLeafLog], index & (1<<trailLeafLog - 1)
}

// at returns the step of a series, nil if there is no room for one yet.
func (t *trail) at(index uint32) *atomic.Uint64 {
	leaf, i := t.leaf(index)
	if leaf == nil {
		return nil
	}
	return &leaf[i]
}

// get returns the step of a series, 0 if it is not known.
func (t *trail) get(index uint32) step {
	if x := t.at(index); x != nil {
		return step(x.Load())
	}
	return 0
}

// note remembers where a series' record lies and, unless next is 0, which series follows it.
func (t *trail) note(index uint32, rec arena.Ref, next uint32) {
	x := t.at(index)
	if x == nil {
		x = t.grow(index)
	}
	old := step(x.Load())
	if next == 0 {
		next = old.next()
	}
	if now := makeStep(rec, next); now != old {
		x.Store(uint64(now))
	}
}

// grow makes room for the step of a series.
func (t *trail) grow(index uint32) *atomic.Uint64 {
	t.growing.Lock()
	defer t.growing.Unlock()
	if x := t.at(index); x != nil {
		return x
	}
	var leaves []*trailLeaf // a copy: others read the old one
	n := int(index>>trailLeafLog) + 1
	if old := t.leaves.Load(); old != nil {
		leaves = make([]*trailLeaf, max(n, len(*old)))
		copy(leaves, *old)
	} else {
		leaves = make([]*trailLeaf, n)
	}
	leaves[n-1] = &trailLeaf{}
	t.leaves.Store(&leaves)
	return &leaves[n-1][index&(1<<trailLeafLog-1)]
}

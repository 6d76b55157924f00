package faultfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Crash cuts the power at this instant and returns the disk as the next boot may find it, by the model in the
// package comment: all that was synced, and of the rest what rng decides. All of it counts as synced then.
// Nothing is open, locked or mapped. m itself goes on as if nothing had happened.
func (m *Mem) Crash(rng *rand.Rand) *Mem {
	m.mu.RLock()
	defer m.mu.RUnlock()
	names := m.namesAfterCrash(rng)
	after := NewMem()
	after.capacity = m.capacity
	copies := map[*node]*node{} // by original, as a file may have several names
	var adopt func(n *node) *node
	adopt = func(n *node) *node {
		c := copies[n]
		if c != nil {
			return c
		}
		if n.names == nil {
			c = n.fileAfterCrash(rng)
			after.used += c.places()
		} else {
			c = newDir()
			view := names(n)
			for _, name := range slices.Sorted(maps.Keys(view)) { // in order, so that a seed means the same each time
				child := adopt(view[name])
				child.links++
				c.names[name], c.kept[name] = child, child
			}
		}
		c.modified = n.modified
		copies[n] = c
		return c
	}
	after.root = adopt(m.root)
	return after
}

// namesAfterCrash returns the names that each directory has after a power cut.
func (m *Mem) namesAfterCrash(rng *rand.Rand) func(dir *node) map[string]*node {
	views := map[*node]map[string]*node{}
	view := func(dir *node) map[string]*node {
		if views[dir] == nil {
			views[dir] = maps.Clone(dir.kept)
		}
		return views[dir]
	}
	lost := map[*node]bool{} // new directories that are in no other
	share := keepShare(rng)
	for _, c := range m.changes {
		happened := rng.Float64() < share && !lost[c.dir] && c.apply(view)
		if !happened && c.makes() && c.node.names != nil {
			lost[c.node] = true
		}
	}
	return view
}

// Kill ends the process at this instant and returns the disk as the next process finds it: all that was
// written, and what was not synced still is not. Nothing is open, locked or mapped. m itself goes on as if
// nothing had happened, so that what is left of the old process in a test can do no harm to the new one.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	copies := map[*node]*node{}
	var reach func(n *node)
	reach = func(n *node) {
		if n == nil || copies[n] != nil {
			return
		}
		n.noteStores()
		copies[n] = &node{contents: n.clone(), links: n.links, modified: n.modified}
		for _, names := range []map[string]*node{n.names, n.kept} {
			for _, child := range names {
				reach(child)
			}
		}
	}
	after := NewMem()
	after.capacity = m.capacity
	reach(m.root)
	for _, c := range m.changes {
		reach(c.dir)
		reach(c.node)
		reach(c.fromDir)
		reach(c.replaced)
		c.dir, c.node, c.fromDir, c.replaced = copies[c.dir], copies[c.node], copies[c.fromDir], copies[c.replaced]
		after.changes = append(after.changes, c)
	}
	translate := func(names map[string]*node) map[string]*node {
		if names == nil {
			return nil
		}
		t := make(map[string]*node, len(names))
		for name, n := range names {
			t[name] = copies[n]
		}
		return t
	}
	for old, n := range copies {
		n.names, n.kept = translate(old.names), translate(old.kept)
		if n.links > 0 {
			after.used += n.places()
		}
	}
	after.root = copies[m.root]
	return after
}

// keepShare says how much of something survives. All and nothing come often: the worst cases are those in which
// one file made it to the disk whole and another one not at all.
func keepShare(rng *rand.Rand) float64 {
	switch rng.IntN(4) {
	case 0:
		return 0
	case 1:
		return 1
	}
	return rng.Float64()
}

func (n *node) fileAfterCrash(rng *rand.Rand) *node {
	data := n.dataAfterCrash(rng)
	c := &node{contents: contents{data: data, kept: slices.Clone(data), low: int64(len(data))}}
	c.blocks = make([]uint8, blocksOf(c.low))
	for i := range c.blocks {
		if i >= len(n.blocks) || n.blocks[i]&placed != 0 {
			c.blocks[i] = placed
		}
	}
	return c
}

func (c *contents) dataAfterCrash(rng *rand.Rand) []byte {
	share := keepShare(rng)
	out := make([]byte, c.sizeAfterCrash(rng))
	for i := range blocksOf(int64(len(out))) {
		old, now := block(c.kept, i), block(c.data, i)
		switch {
		case i >= int64(len(c.blocks)): // the cut is undone
			copy(block(out, i), old)
		case same(old, now), rng.Float64() < share:
			copy(block(out, i), now)
		case i*blockSize >= c.low && rng.IntN(2) == 0:
			// Cut off and grown again: the disk may have dropped the old block and not have the new one.
		default:
			copy(block(out, i), old)
		}
	}
	return out
}

func (c *contents) sizeAfterCrash(rng *rand.Rand) int64 {
	now, kept := int64(len(c.data)), int64(len(c.kept))
	low, high := min(c.low, kept), max(now, kept)
	if low == high {
		return now
	}
	switch rng.IntN(4) {
	case 0:
		return kept
	case 1:
		return now
	}
	size := low + rng.Int64N(high-low+1)
	if rng.IntN(2) == 0 {
		size = max(low, size/blockSize*blockSize)
	}
	return size
}

package arena

import "slices"

// Copy is a copy of what an image slot needs of an arena, made while the arena is in use: Begin, Into, Step until it
// says that it is through, Finish. All but Into are called under the arena's lock, which is given back in between.
// Step copies a part at a time, and what changes behind it is copied again, by further Steps after Again, and by Finish:
// the copy is the arena as of Finish, and however large the arena is, no one has to wait longer than for the part.
//
// A Copy can be used again. After one that was not written to its slot the next one must be of all extents.
type Copy struct {
	buf  []byte   // the extents, in the order in which they were first copied
	at   []uint32 // by extent, the number of its place in buf plus 1; 0: it is not in it
	slot uint8
	next int // where Step goes on
	runs []Run
}

// Begin starts a copy of the extents that changed since slot (0 or 1) was last written, or of all, and returns how many
// bytes they are so far.
func (c *Copy) Begin(a *Arena, slot uint8, all bool) (size int) {
	c.buf, c.at, c.slot = c.buf[:0], c.at[:0], slot
	if all {
		for i := range a.dirty[:a.Size()>>extentShift] {
			a.dirty[i] |= 1 << slot
		}
	}
	return c.Again(a)
}

// Into is called before the first Step with the memory to copy into. Where it is not large enough the copy grows as a
// slice does, under the lock: tens of milliseconds for tens of MB.
func (c *Copy) Into(buf []byte) { c.buf = buf[:0] }

// Step copies up to size bytes, and reports whether it has to be called again.
func (c *Copy) Step(a *Arena, size int) (more bool) {
	most := size >> extentShift
	n := c.extents(a)
	for ; c.next < n && most > 0; most-- {
		// A clean extent costs next to nothing, but there may be many.
		if a.dirty[c.next]>>c.slot&1 == 1 {
			c.copy(a, c.next)
		}
		c.next++
	}
	return c.next < n
}

// Again has Step go through all extents once more, and returns how many bytes there are to copy by now.
func (c *Copy) Again(a *Arena) (size int) {
	c.next = 0
	for _, d := range a.dirty[:a.Size()>>extentShift] {
		size += int(d>>c.slot&1) << extentShift
	}
	return size
}

// Finish copies what is left, and again what has changed since it was copied.
func (c *Copy) Finish(a *Arena) {
	for i := range c.extents(a) {
		if a.dirty[i]>>c.slot&1 == 1 {
			c.copy(a, i)
		}
	}
}

// extents makes room for as many as the arena has now.
func (c *Copy) extents(a *Arena) int {
	n := int(a.Size() >> extentShift)
	if more := n - len(c.at); more > 0 {
		c.at = slices.Grow(c.at, more)[:n]
		clear(c.at[n-more:])
	}
	return n
}

func (c *Copy) copy(a *Arena, i int) {
	a.dirty[i] &^= 1 << c.slot
	extent := a.region.mem[i<<extentShift : (i+1)<<extentShift]
	if at := int(c.at[i]); at > 0 {
		copy(c.buf[(at-1)<<extentShift:], extent)
		return
	}
	c.buf = append(c.buf, extent...)
	c.at[i] = uint32(len(c.buf) >> extentShift)
}

// Runs is the copy, ascending. It is valid until the next Begin, and needs no lock.
func (c *Copy) Runs() []Run {
	c.runs = c.runs[:0]
	for i := 0; i < len(c.at); i++ {
		at := c.at[i]
		if at == 0 {
			continue
		}
		first := i
		for i+1 < len(c.at) && c.at[i+1] == c.at[i]+1 {
			i++
		}
		from, to := int(at-1)<<extentShift, int(c.at[i])<<extentShift
		c.runs = append(c.runs, Run{First: uint32(first), Data: c.buf[from:to:to]})
	}
	return c.runs
}

// Size is how many bytes the copy has.
func (c *Copy) Size() int { return len(c.buf) }

package arena

import "unsafe"

// Table is an open-addressing hash table of 32-bit values, held by the client in its root. 16 bytes.
//
//	slot   uint64: tag in the upper 32 bits, value in the lower; value 0 = empty
//
// The home of an entry is given by the top bits of its tag, so that doubling needs the tag alone and walks
// both tables in order. A tag is no identity: the client compares what the value refers to.
type Table struct {
	slots Ref
	Len   uint32 // entries
	log   uint8  // log2 of the number of slots; 0 with slots = 0 is a table without any
	_     [7]uint8
}

const tableMinLog = 6

// Cursor walks the slots that may hold a tag.
type Cursor struct {
	slots []uint64
	i     uint32
	tag   uint32
}

// Find starts a walk over the values stored under hash's tag.
//
//	for c := t.Find(a, tag); ; {
//		v := c.Next()
//		if v == 0 { miss }
//		if the thing v refers to is the one { hit }
//	}
func (t *Table) Find(a *Arena, tag uint32) Cursor {
	if t.slots == 0 {
		return Cursor{slots: emptyTable[:], tag: tag}
	}
	s := t.Slots(a)
	return Cursor{slots: s, i: tag >> (32 - t.log), tag: tag}
}

// emptyTable lets a walk over no table end like any other.
var emptyTable [1]uint64

// Slots is the table's memory.
func (t *Table) Slots(a *Arena) []uint64 {
	if t.slots == 0 {
		return nil
	}
	return slots64(a, t.slots, 1<<t.log)
}

// Slot is the slot where a walk for tag begins: most of the time the one it looks for. Asking for the slots
// of many tags before looking at any lets their cache misses overlap.
func (t *Table) Slot(a *Arena, tag uint32) uint64 {
	if t.slots == 0 {
		return 0
	}
	return *(*uint64)(unsafe.Add(a.base, uintptr(t.slots)<<refShift+uintptr(tag>>(32-t.log))*8))
}

// First is the first value with the tag, or 0.
func (t *Table) First(a *Arena, tag uint32) uint32 {
	c := t.Find(a, tag)
	return c.Next()
}

// Next returns the next value with the tag, or 0.
func (c *Cursor) Next() uint32 {
	for {
		s := c.slots[c.i]
		c.i = (c.i + 1) & uint32(len(c.slots)-1)
		if uint32(s) == 0 {
			return 0
		}
		if uint32(s>>32) == c.tag {
			return uint32(s)
		}
	}
}

// Insert adds a value under a tag; it does not look for it first. bias (0..3) staggers the fill at which
// tables double, so that the stripes of a tenant don't all double in the same second.
func (t *Table) Insert(a *Arena, tag, value uint32, bias uint32) error {
	if t.slots == 0 || t.Len >= (11+bias&3)<<t.log>>4 {
		if err := t.double(a); err != nil {
			return err
		}
	}
	s := slots64(a, t.slots, 1<<t.log)
	i := place(s, t.log, tag, value)
	a.Touch(t.slots+Ref(i), 8)
	t.Len++
	a.TouchRoot()
	return nil
}

func place(s []uint64, log uint8, tag, value uint32) uint32 {
	mask := uint32(len(s) - 1)
	i := tag >> (32 - log)
	for uint32(s[i]) != 0 {
		i = (i + 1) & mask
	}
	s[i] = uint64(tag)<<32 | uint64(value)
	return i
}

func (t *Table) double(a *Arena) error {
	log := max(t.log+1, tableMinLog)
	r, err := a.AllocSpan(Tables, 8<<log)
	if err != nil {
		return err
	}
	to := slots64(a, r, 1<<log)
	// The system answers the first look at new memory with a page of zeros that all share, and the first write to it
	// with another page, of which it tells all cores. So write first.
	for i := 0; i < len(to); i += ExtentSize / 8 {
		to[i] = 0
	}
	for _, s := range t.Slots(a) {
		if uint32(s) != 0 {
			place(to, log, uint32(s>>32), uint32(s))
		}
	}
	if t.slots != 0 {
		a.FreeSpan(Tables, t.slots, 8<<t.log)
	}
	t.slots, t.log = r, log
	a.TouchRoot()
	return nil
}

// Check claims the table's memory, and tells whether it can have it and holds as many entries as it says, each where
// a walk finds it.
func (t *Table) Check(a *Arena, claims Claims) bool {
	if t.slots == 0 {
		return t.Len == 0 && t.log == 0
	}
	if t.log < tableMinLog || t.log > 31 || !claims.AddSpan(t.slots, 8<<t.log) || t.Len >= 1<<t.log {
		return false
	}
	s := t.Slots(a)
	n, mask := uint32(0), uint32(len(s)-1)
	// reach is how far behind its home an entry may stand: as far as the run of full slots before it.
	run := uint32(0)
	for i := mask; uint32(s[i]) != 0 && run < mask; i-- {
		run++
	}
	for i, v := range s {
		if uint32(v) == 0 {
			run = 0
			continue
		}
		n++
		home := uint32(v>>32) >> (32 - t.log)
		if (uint32(i)-home)&mask > run {
			return false
		}
		run++
	}
	return n == t.Len
}

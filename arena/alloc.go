package arena

import "fmt"

// Spans of a purpose grow with it: from one extent, so that a stripe with ten series stays small, to 64,
// so that a stripe with a million asks seldom.
const (
	spanMin = 1
	spanMax = 64
)

// Alloc hands out n bytes, aligned to 8 (records and blocks, whose sizes are multiples of it, to 64), zeroed, and marked as
// changed. Never freed one by one.
func (a *Arena) Alloc(p Purpose, n int) (Ref, error) {
	size := roundUp(uint64(n), 1<<refShift)
	c := &a.header().cur[p]
	if c.next+size > c.end {
		if err := a.refill(p, size); err != nil {
			return 0, err
		}
	}
	r := Ref(c.next >> refShift)
	c.next += size
	a.TouchRoot()
	a.Touch(r, int(size))
	return r, nil
}

// refill gives a purpose a new span of at least size bytes. What was left of the old one is lost, less than
// the largest size of the purpose.
func (a *Arena) refill(p Purpose, size uint64) error {
	c := &a.header().cur[p]
	want := max(size, min(max(c.used/4, spanMin<<extentShift), spanMax<<extentShift))
	s, err := a.takeSpan(uint32((want + ExtentSize - 1) >> extentShift))
	if err != nil {
		return fmt.Errorf("arena: %d bytes for %s: %w", size, p, err)
	}
	first, bytes := uint64(s.first)<<extentShift, uint64(s.size)<<extentShift
	if first == c.end && first != 0 {
		c.end += bytes // the neighbour: go on where we were
	} else {
		c.next, c.end = first, first+bytes
	}
	c.used += bytes
	return nil
}

// AllocSpan hands out n bytes in extents of their own, zeroed, for tables that are replaced as a whole.
func (a *Arena) AllocSpan(p Purpose, n int) (Ref, error) {
	s, err := a.takeSpan(uint32((n + ExtentSize - 1) >> extentShift))
	if err != nil {
		return 0, fmt.Errorf("arena: %d bytes for %s: %w", n, p, err)
	}
	a.header().cur[p].used += uint64(s.size) << extentShift
	r := Ref(uint64(s.first) << (extentShift - refShift))
	a.TouchRoot()
	a.Touch(r, int(s.size)<<extentShift)
	return r, nil
}

// FreeSpan takes back what AllocSpan gave for n bytes. If there is no room to remember it, it stays lost
// until the arena is copied.
func (a *Arena) FreeSpan(p Purpose, r Ref, n int) {
	h := a.header()
	size := uint32((n + ExtentSize - 1) >> extentShift)
	first := uint32(r >> (extentShift - refShift))
	h.cur[p].used -= uint64(size) << extentShift
	a.TouchRoot()
	for i := range h.spans {
		if h.spans[i].size == 0 {
			h.spans[i] = span{first, size}
			return
		}
	}
}

// takeSpan finds size extents: first among the freed ones, then behind the end.
func (a *Arena) takeSpan(size uint32) (span, error) {
	h := a.header()
	for i := range h.spans {
		f := &h.spans[i]
		if f.size < size {
			continue
		}
		s := span{f.first, size}
		f.first += size
		f.size -= size
		a.TouchRoot()
		clear(a.Bytes(Ref(s.first)<<(extentShift-refShift), int(size)<<extentShift))
		a.Touch(Ref(s.first)<<(extentShift-refShift), int(size)<<extentShift)
		return s, nil
	}
	end := h.end + uint64(size)<<extentShift
	if end > MaxReserve {
		return span{}, ErrFull
	}
	if err := a.commit(end); err != nil {
		return span{}, err
	}
	h = a.header()
	s := span{uint32(h.end >> extentShift), size}
	h.end = end
	a.TouchRoot()
	// An image holds all of [0, Size), so the span is new to both slots even where nothing is stored yet.
	a.Touch(Ref(uint64(s.first)<<(extentShift-refShift)), int(size)<<extentShift)
	return s, nil
}

package arena

import (
	"errors"
	"fmt"
	"unsafe"
)

// ErrDamaged means that an arena's bytes contradict themselves.
var ErrDamaged = errors.New("arena: damaged")

// check looks at the header of a loaded arena: everything that Alloc and AllocBlock will trust.
func (a *Arena) check(size uint64) error {
	h := a.header()
	switch {
	case h.magic != magic:
		return fmt.Errorf("%w: magic %#x, want %#x (a foreign file, or another byte order)", ErrDamaged, h.magic, uint64(magic))
	case h.layout == 0 || h.layout > layout:
		return fmt.Errorf("%w: layout %d, this program knows those up to %d", ErrDamaged, h.layout, layout)
	case h.end != size:
		return fmt.Errorf("%w: header says %d bytes, the image has %d", ErrDamaged, h.end, size)
	}
	for p, c := range h.cur {
		if c.next > c.end || c.end > h.end || c.next%alignment(Purpose(p), h.layout) != 0 || c.end%ExtentSize != 0 || c.used > h.end || (c.end != 0 && c.next < ExtentSize) {
			return fmt.Errorf("%w: cursor %d is {%d %d %d} in an arena of %d bytes", ErrDamaged, p, c.next, c.end, c.used, h.end)
		}
	}
	for _, s := range h.spans {
		if s.size != 0 && (s.first == 0 || (uint64(s.first)+uint64(s.size))<<extentShift > h.end) {
			return fmt.Errorf("%w: free span {%d %d} in an arena of %d bytes", ErrDamaged, s.first, s.size, h.end)
		}
	}
	if h.layout == 1 {
		return a.checkFree1()
	}
	// A free list longer than the arena has room for is a cycle.
	n, limit := uint64(0), h.end/BlockSize
	for r := h.free; r != 0; n++ {
		if n > limit || r%blockUnits != 0 || !a.Contains(r, BlockSize) {
			return fmt.Errorf("%w: free block %d: ref %d", ErrDamaged, n, r)
		}
		r = *At[Ref](a, r)
	}
	return nil
}

// alignment is what the addresses of a purpose have in common.
func alignment(p Purpose, layout uint32) uint64 {
	if p == Records || p == Chunks && layout > 1 {
		return 64
	}
	return 1 << refShift
}

func slots64(a *Arena, r Ref, n int) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Add(a.base, uintptr(r)<<refShift)), n)
}

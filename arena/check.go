package arena

import (
	"errors"
	"fmt"
	"unsafe"
)

// ErrDamaged means that an arena's bytes contradict themselves.
var ErrDamaged = errors.New("arena: damaged")

// check looks at the header of a loaded arena: everything that Alloc and AllocChunk will trust.
func (a *Arena) check(size uint64) error {
	h := a.header()
	switch {
	case h.magic != magic:
		return fmt.Errorf("%w: magic %#x, want %#x (a foreign file, or another byte order)", ErrDamaged, h.magic, uint64(magic))
	case h.layout != layout:
		return fmt.Errorf("%w: layout %d, this program knows %d", ErrDamaged, h.layout, layout)
	case h.end != size:
		return fmt.Errorf("%w: header says %d bytes, the image has %d", ErrDamaged, h.end, size)
	}
	for p, c := range h.cur {
		if c.next > c.end || c.end > h.end || c.next%alignment(Purpose(p)) != 0 || c.end%ExtentSize != 0 || c.used > h.end || (c.end != 0 && c.next < ExtentSize) {
			return fmt.Errorf("%w: cursor %d is {%d %d %d} in an arena of %d bytes", ErrDamaged, p, c.next, c.end, c.used, h.end)
		}
	}
	for _, s := range h.spans {
		if s.size != 0 && (s.first == 0 || (uint64(s.first)+uint64(s.size))<<extentShift > h.end) {
			return fmt.Errorf("%w: free span {%d %d} in an arena of %d bytes", ErrDamaged, s.first, s.size, h.end)
		}
	}
	for class, r := range h.free {
		// A free list longer than the arena has room for is a cycle.
		n, limit := uint64(0), h.end/uint64(classSizes[class])
		for ; r != 0; n++ {
			if n > limit || !a.Contains(r, uint64(classSizes[class])) {
				return fmt.Errorf("%w: free list of class %d, entry %d: ref %d", ErrDamaged, class, n, r)
			}
			r = *At[Ref](a, r)
		}
	}
	return nil
}

// alignment is what the addresses of a purpose have in common.
func alignment(p Purpose) uint64 {
	if p == Records {
		return 64
	}
	return 1 << refShift
}

func slots64(a *Arena, r Ref, n int) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Add(a.base, uintptr(r)<<refShift)), n)
}

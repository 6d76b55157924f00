package arena

import (
	"fmt"
	"slices"
	"unsafe"
)

// Layout 1 kept an open chunk in one block, of one of these sizes, and a free list for each of them.
var classSizes1 = [...]int{32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 512, 768, 1024, 1536, 2304}

// ClassSize1 is the size of an open chunk of layout 1; 0 if there is no such class.
func ClassSize1(class uint8) int {
	if int(class) >= len(classSizes1) {
		return 0
	}
	return classSizes1[class]
}

// free1 is the heads of layout 1's free lists.
func (h *header) free1() *[len(classSizes1)]Ref {
	return (*[len(classSizes1)]Ref)(unsafe.Pointer(&h.free))
}

func (a *Arena) checkFree1() error {
	h := a.header()
	for class, r := range h.free1() {
		// A free list longer than the arena has room for is a cycle.
		n, limit := uint64(0), h.end/uint64(classSizes1[class])
		for ; r != 0; n++ {
			if n > limit || !a.Contains(r, uint64(classSizes1[class])) {
				return fmt.Errorf("%w: free list of class %d, entry %d: ref %d", ErrDamaged, class, n, r)
			}
			r = *At[Ref](a, r)
		}
	}
	return nil
}

func (c Claims) addFree1() bool {
	for class, r := range c.a.header().free1() {
		for ; r != 0; r = *At[Ref](c.a, r) {
			if !c.Add(r, uint64(classSizes1[class])) {
				return false
			}
		}
	}
	return true
}

// Carve makes an arena of layout 1 one of the present layout, after it was walked: all memory that belongs to open
// chunks becomes free blocks. all is what the walk claimed, chunks is the open chunks in it, whose contents are lost.
//
// The spans of chunks are not listed anywhere. They are the extents in which there is a chunk, a free one, or the rest
// of the last span, and as an image that says so may be a foreign one, nothing of such an extent is taken that belongs
// to anything else.
func (a *Arena) Carve(all, chunks Claims) {
	h := a.header()
	c := &h.cur[Chunks]
	if c.next < c.end {
		chunks.Add(Ref(c.next>>refShift), c.end-c.next)
	}
	chunks.addFree1()
	*h.free1() = [len(classSizes1)]Ref{}
	h.layout, c.next, c.end = layout, 0, 0
	a.TouchRoot()

	const words = ExtentSize >> refShift / 64 // of the claims, an extent
	for extent := len(chunks.set)/words - 1; extent > 0; extent-- {
		mine, others := chunks.set[extent*words:][:words], all.set[extent*words:][:words]
		if !slices.ContainsFunc(mine, func(w uint64) bool { return w != 0 }) {
			continue
		}
		// From the end, so that blocks are given out in the order in which they lie. A block is a byte of the claims.
		for i := ExtentSize/BlockSize - 1; i >= 0; i-- {
			if byte((others[i/8]&^mine[i/8])>>(i%8*8)) == 0 {
				r := Ref(extent*ExtentSize+i*BlockSize) >> refShift
				a.FreeBlocks(r, r)
			}
		}
	}
}

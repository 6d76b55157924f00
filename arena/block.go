package arena

// BlockSize is the size of a block, of which open chunks are made: a cache line, and it lies in one.
//
// A block's first word is the Ref of the block before it, whether both are in use or free: so a chain is freed, and free
// blocks are found again, without a list of their own.
const (
	BlockSize  = 64
	blockUnits = BlockSize >> refShift // of a Ref
)

// RoomForBlocks is what Ensure takes to make n calls of AllocBlock succeed: a span may be larger than what is left to
// take of it.
func RoomForBlocks(n int) uint64 { return uint64(n)*BlockSize + spanMax<<extentShift }

// AllocBlock hands out a block, and marks it as changed. Its contents are whatever was there.
func (a *Arena) AllocBlock() (Ref, error) {
	h := a.header()
	r := h.free
	if r == 0 {
		return a.Alloc(Chunks, BlockSize)
	}
	h.free = *At[Ref](a, r)
	a.TouchRoot()
	a.Touch(r, BlockSize)
	return r, nil
}

// FreeBlocks takes a chain of blocks back: from last, each block's first word leads to the one before it, up to first.
func (a *Arena) FreeBlocks(last, first Ref) {
	h := a.header()
	*At[Ref](a, first) = h.free
	h.free = last
	a.TouchRoot()
	a.Touch(first, 4)
}

package arena

import (
	"errors"
	"fmt"
	"unsafe"
)

// ErrFull means that a region has used up its reserved range, or that the system has no memory to commit to it.
var ErrFull = errors.New("arena: full")

// Region is a reserved range of addresses, committed from the front in steps. Its base never moves, so that
// what was learnt of it under a lock can be read after the lock was given back.
type Region struct {
	base      unsafe.Pointer
	reserved  uint64
	committed uint64
	mem       []byte // the whole range, as it was mapped or made
}

// commitStep is how much a region grows by at a time: a system call a MiB, and pages that nobody has
// touched cost nothing anyway.
const commitStep = 1 << 20

// Reserve sets size bytes of address space aside. Nothing is committed yet.
func Reserve(size uint64) (*Region, error) {
	size = roundUp(size, commitStep)
	mem, err := reserve(size)
	if err != nil {
		return nil, fmt.Errorf("arena: reserve %d MiB of address space: %w", size>>20, err)
	}
	return &Region{base: unsafe.Pointer(unsafe.SliceData(mem)), reserved: uint64(len(mem)), mem: mem}, nil
}

// Commit makes [0, size) usable. New memory reads as zero.
func (r *Region) Commit(size uint64) error {
	if size <= r.committed {
		return nil
	}
	if size > r.reserved {
		return fmt.Errorf("%w: %d of %d reserved bytes wanted", ErrFull, size, r.reserved)
	}
	to := min(roundUp(size, commitStep), r.reserved)
	if err := commit(r.mem[r.committed:to]); err != nil {
		return fmt.Errorf("%w: the system commits no further %d bytes: %w", ErrFull, to-r.committed, err)
	}
	r.committed = to
	return nil
}

// Committed is how many bytes are usable.
func (r *Region) Committed() uint64 { return r.committed }

// Bytes is the committed range.
func (r *Region) Bytes() []byte { return r.mem[:r.committed:r.committed] }

// Release gives the range back. Nothing may look at it afterwards.
func (r *Region) Release() error {
	mem := r.mem
	*r = Region{}
	if mem == nil {
		return nil
	}
	return release(mem)
}

func roundUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

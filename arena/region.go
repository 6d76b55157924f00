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
	mem       []byte // the range, from an address that is a multiple of a huge page
	mapped    []byte // what the system gave
}

const (
	// commitStep is how much a region grows by at a time: a system call a MiB, and pages that nobody has
	// touched cost nothing anyway.
	commitStep = 1 << 20

	// hugePage is the unit of huge pages. With them an append walks fewer page tables (a tenth of its time) and
	// an image is read in with a third less. One that is begun is resident as a whole, so a region's first is only
	// asked for if it is about to be filled. All others are, however the region grows: what a process that died leaves
	// behind is what the next one needs. (Where it left small pages and the next one asked for huge ones, on a virtual
	// machine that gives free ones back to its host, reading in the images took three times as long.)
	hugePage = 2 << 20
)

// Reserve sets size bytes of address space aside. Nothing is committed yet.
func Reserve(size uint64) (*Region, error) {
	size = roundUp(size, hugePage)
	mapped, err := reserve(size + hugePage)
	if err != nil {
		return nil, fmt.Errorf("arena: reserve %d MiB of address space: %w", size>>20, err)
	}
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(mapped))) % hugePage
	mem := mapped[skip : len(mapped)-int(hugePage-skip)]
	return &Region{base: unsafe.Pointer(unsafe.SliceData(mem)), reserved: uint64(len(mem)), mem: mem, mapped: mapped}, nil
}

// Commit makes [0, size) usable. New memory reads as zero.
func (r *Region) Commit(size uint64) error {
	if size <= r.committed {
		return nil
	}
	if size > r.reserved {
		return fmt.Errorf("%w: %d of %d reserved bytes wanted", ErrFull, size, r.reserved)
	}
	step := uint64(commitStep)
	if size > hugePage {
		step = hugePage
	}
	to := min(roundUp(size, step), r.reserved)
	if err := commit(r.mem[r.committed:to]); err != nil {
		return fmt.Errorf("%w: the system commits no further %d bytes: %w", ErrFull, to-r.committed, err)
	}
	if to > hugePage {
		advise(r.mem[max(r.committed, hugePage):to])
	}
	r.committed = to
	return nil
}

// CommitFilled commits size bytes that the caller is about to fill.
func (r *Region) CommitFilled(size uint64) error {
	if err := r.Commit(size); err != nil {
		return err
	}
	if size >= hugePage {
		advise(r.mem[:hugePage]) // the others were when they were committed
	}
	return nil
}

// Committed is how many bytes are usable.
func (r *Region) Committed() uint64 { return r.committed }

// Bytes is the committed range.
func (r *Region) Bytes() []byte { return r.mem[:r.committed:r.committed] }

// Reserved is the whole range, of which no more than what is committed may be touched.
func (r *Region) Reserved() []byte { return r.mem }

// Release gives the range back. Nothing may look at it afterwards.
func (r *Region) Release() error {
	mapped := r.mapped
	*r = Region{}
	if mapped == nil {
		return nil
	}
	return release(mapped)
}

func roundUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

package arena

import (
	"fmt"
	"unsafe"
)

// Ref is an offset into an arena in units of 8 bytes; 0 is nil.
type Ref uint32

const (
	// ExtentSize is the unit in which changes are tracked, copied, written and checked.
	ExtentSize  = 1 << extentShift
	extentShift = 12
	refShift    = 3

	// MaxReserve is how far a Ref reaches.
	MaxReserve = 1 << (32 + refShift)

	// headerSize is where the client's root begins in extent 0.
	headerSize = 1024
	// RootSize is how much room the client's root has.
	RootSize = ExtentSize - headerSize

	magic  = 0x616e657261646e6b // "kndarena"
	layout = 2
)

// Purpose says what memory is for: each purpose has its own spans, and is counted apart.
type Purpose uint8

// Purposes. Their numbers are part of the layout.
const (
	Records  Purpose = iota // series records: change with every sample
	Chunks                  // open chunks: change with every sample
	Labels                  // names, pairs, label sets: never change
	Postings                // lists of series and of pairs: change when series are created
	Tables                  // hash tables
	Indexes                 // index -> record
	Pending                 // entries on their way to the log; empty in an image
	purposes
)

// NumPurposes is how many there are.
const NumPurposes = int(purposes)

var purposeNames = [...]string{"records", "chunks", "labels", "postings", "tables", "index", "pending"}

func (p Purpose) String() string { return purposeNames[p] }

// header is the arena's own state, at offset 0, so that it is in the image with the rest.
type header struct {
	magic  uint64
	layout uint32
	_      uint32
	end    uint64 // bytes given to spans so far; a multiple of ExtentSize
	cur    [8]cursor
	free   Ref // the free block to be given out next; it leads to the others
	_      [15]uint32
	spans  [maxFreeSpans]span
	_      [headerSize - 24 - 8*24 - 16*4 - maxFreeSpans*8]byte
}

// cursor is where a purpose allocates next. Offsets in bytes.
type cursor struct{ next, end, used uint64 }

// span is a run of extents. Both fields in extents; size 0 is an empty entry.
type span struct{ first, size uint32 }

const maxFreeSpans = 32

var (
	_ [headerSize]byte = [unsafe.Sizeof(header{})]byte{}
	_ [8 - purposes]struct{}
)

// Arena is one stripe's memory. Not safe for concurrent use.
type Arena struct {
	base   unsafe.Pointer
	region *Region
	// dirty has a byte an extent: bit i is set when the extent changed since image slot i was written.
	dirty []uint8
}

// bothSlots marks an extent as changed for each of the two image slots.
const bothSlots = 1<<0 | 1<<1

// New makes an empty arena in a range of up to reserve bytes.
func New(reserve uint64) (*Arena, error) {
	a, err := open(reserve)
	if err != nil {
		return nil, err
	}
	if err := a.commit(ExtentSize); err != nil {
		_ = a.Release()
		return nil, err
	}
	h := a.header()
	*h = header{magic: magic, layout: layout, end: ExtentSize}
	a.dirty[0] = bothSlots
	return a, nil
}

// Load makes an arena of size bytes (a multiple of ExtentSize) whose contents fill puts there. What fill
// wrote is believed only after the client's own walk, and is changed only after that: see Layout.
func Load(reserve, size uint64, fill func([]byte) error) (*Arena, error) {
	if size < ExtentSize || size%ExtentSize != 0 {
		return nil, fmt.Errorf("arena: load: size %d is not a positive multiple of %d", size, ExtentSize)
	}
	a, err := open(reserve)
	if err != nil {
		return nil, err
	}
	if err = a.commitFilled(size); err == nil {
		if err = fill(a.region.Bytes()[:size]); err == nil {
			err = a.check(size)
		}
	}
	if err != nil {
		_ = a.Release()
		return nil, err
	}
	return a, nil
}

// View makes an arena over the bytes of an image, to walk it. It must not be changed or released.
func View(mem []byte) (*Arena, error) {
	if len(mem) < ExtentSize || len(mem)%ExtentSize != 0 {
		return nil, fmt.Errorf("%w: an image of %d bytes, which is no positive multiple of %d", ErrDamaged, len(mem), ExtentSize)
	}
	a := &Arena{base: unsafe.Pointer(unsafe.SliceData(mem)), region: &Region{mem: mem, committed: uint64(len(mem))}}
	return a, a.check(uint64(len(mem)))
}

func open(reserve uint64) (*Arena, error) {
	r, err := Reserve(min(reserve, MaxReserve))
	if err != nil {
		return nil, err
	}
	return &Arena{base: r.base, region: r}, nil
}

func (a *Arena) commit(size uint64) error { return a.track(a.region.Commit(size)) }

func (a *Arena) commitFilled(size uint64) error { return a.track(a.region.CommitFilled(size)) }

// track gives every committed extent its byte in dirty.
func (a *Arena) track(err error) error {
	if err != nil {
		return err
	}
	if n := int(a.region.Committed() >> extentShift); n > len(a.dirty) {
		a.dirty = append(a.dirty, make([]uint8, n-len(a.dirty))...)
	}
	return nil
}

func (a *Arena) header() *header { return (*header)(a.base) }

// Release gives the memory back.
func (a *Arena) Release() error {
	r := a.region
	*a = Arena{}
	return r.Release()
}

// Ensure commits memory for n more bytes of spans, so that the allocations of one operation cannot fail half
// way through it.
func (a *Arena) Ensure(n uint64) error {
	end := a.header().end + n
	if end <= a.region.committed {
		return nil
	}
	if end > MaxReserve {
		return ErrFull
	}
	return a.commit(end)
}

// Layout is the version of what lies in the arena: the present one, or, in an arena that was loaded, 1. That can be
// walked, and is then changed by Carve; before that it serves for nothing else.
func (a *Arena) Layout() uint32 { return a.header().layout }

// Size is how many bytes an image of the arena holds: all spans ever handed out.
func (a *Arena) Size() uint64 { return a.header().end }

// Used is how many bytes a purpose holds in spans, whether handed out or not yet.
func (a *Arena) Used(p Purpose) uint64 { return a.header().cur[p].used }

// Root is the client's root, in the first extent; touched by TouchRoot.
func (a *Arena) Root() unsafe.Pointer { return unsafe.Add(a.base, headerSize) }

// TouchRoot marks header and root as changed.
func (a *Arena) TouchRoot() { a.dirty[0] = bothSlots }

// At is the address of r as a *T. The caller knows that a T is there.
func At[T any](a *Arena, r Ref) *T { return (*T)(unsafe.Add(a.base, uintptr(r)<<refShift)) }

// RefOf is the reference to p, an address inside the arena that At returned.
func (a *Arena) RefOf(p unsafe.Pointer) Ref { return Ref((uintptr(p) - uintptr(a.base)) >> refShift) }

// Bytes is the n bytes at r.
func (a *Arena) Bytes(r Ref, n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(a.base, uintptr(r)<<refShift)), n)
}

// Uint32s is the n integers at off bytes behind r.
func (a *Arena) Uint32s(r Ref, off, n int) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Add(a.base, uintptr(r)<<refShift+uintptr(off))), n)
}

// Touch marks n bytes at r as changed. Call it before or after the store, under the same lock.
func (a *Arena) Touch(r Ref, n int) {
	first := uint64(r) << refShift >> extentShift
	last := (uint64(r)<<refShift + uint64(n) - 1) >> extentShift
	for ; first <= last; first++ {
		a.dirty[first] = bothSlots
	}
}

// TouchPtr marks n bytes at p, an address inside the arena, as changed.
func (a *Arena) TouchPtr(p unsafe.Pointer, n int) {
	off := uintptr(p) - uintptr(a.base)
	for first, last := off>>extentShift, (off+uintptr(n)-1)>>extentShift; first <= last; first++ {
		a.dirty[first] = bothSlots
	}
}

// Contains reports whether n bytes at r lie inside the allocated range. 0 is not inside.
func (a *Arena) Contains(r Ref, n uint64) bool {
	off := uint64(r) << refShift
	return off >= ExtentSize && off+n <= a.header().end
}

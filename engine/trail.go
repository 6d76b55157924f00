package engine

import (
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/rekindledb/rekindle/arena"
)

// trail is what a tenant remembers of the order in which its series are sent, and of how the labels of each one differ
// from those of the one before. Senders keep to an order, scrape after scrape, and what differs is little. It is read from
// front to back while a request is, and says what comes next without a look at the series themselves.
//
//	entries    [entry][entry]...[end]   [entry]...[end]   ...    runs: series in the order of a request
//	places     by ref: where the entry of the series that follows begins; 0 if that is not known
//
//	entry   0        4                        6
//	        +--------+--------+--------+-------+------+------+---
//	        | rec    | stripe | labels | edits | edit | edit | ...      rec 0: the run ends
//	        +--------+--------+--------+-------+------+------+---
//	          32 bits   6        6         4
//	edit    keep u15 | elsewhere u1 | drop u8 | fresh u8 | fresh bytes, or where they are among the entries u32
//
// An entry's edits make its series' key of the key before: they keep some bytes of that, leave some out, and put fresh
// ones in; what is behind the last edit is kept. The first series of a run has no entry. Labels alternate, within a target
// and from metric to metric, so what is put in was often written before.
//
// A trail belongs to the process, not to the image: a start begins without, and the first scrape lays it anew. A run is
// written before a place leads to it, and never changed: it is read without a lock. Where a record lies is true as long
// as the arena is. When a trail is full another one takes its place; requests under way go on with the old one, whose
// memory goes back when the last of them is done.
type trail struct {
	data   []byte          // entries
	places []atomic.Uint32 // of which the first refs can be looked at
	refs   atomic.Uint32

	// Series since the trail was begun: in all requests, and those that were laid.
	asked, laid atomic.Int64

	// seen is where fresh bytes are among the entries, by hash. They may have been forgotten.
	seen atomic.Pointer[[]atomic.Uint32]

	laying sync.Mutex
	memory trailMemory
	end    uint32 // of the entries
}

// trailMemory is outside the Go heap, which would keep twice its size.
type trailMemory struct{ entries, places *arena.Region }

func (m trailMemory) release() { _, _ = m.entries.Release(), m.places.Release() }

const (
	entryHead   = 6
	entryStripe = 10 // bits of the head's last two bytes
	entryLabels = 4

	maxEntryLabels = 1<<(entryStripe-entryLabels) - 1
	maxEntryEdits  = 1<<entryLabels - 1

	editHead      = 4
	editElsewhere = 1 << 15
	maxKeep       = editElsewhere - 1

	// runEnd is what is behind a run: as much as is read of a head. It is before the first one too, so that no place is 0.
	runEnd = 8

	// trailShare bounds a trail's entries: bytes a series. 11 to 37 are usual, the most where each series of a target is of
	// another container.
	trailShare = 64
	trailMin   = 64 << 10

	// seenShare is how many series there are for a place in seen.
	seenShare = 4
	seenMin   = 256

	// trailAge is how often each series must have been sent, on average, before a trail that is full is begun anew: part
	// of what fills it is of an order that has changed since. A sender without an order pays for no more than that.
	trailAge = 16
)

// newTrail returns an empty trail, nil if the system gives no addresses for one.
func newTrail() *trail {
	entries, err := arena.Reserve(math.MaxUint32)
	if err != nil {
		return nil
	}
	places, err := arena.Reserve(4 * math.MaxUint32)
	if err != nil {
		_ = entries.Release()
		return nil
	}
	tr := &trail{data: entries.Reserved(), memory: trailMemory{entries, places}, end: runEnd}
	seen := make([]atomic.Uint32, seenMin)
	tr.seen.Store(&seen)
	p := places.Reserved()
	tr.places = unsafe.Slice((*atomic.Uint32)(unsafe.Pointer(unsafe.SliceData(p))), len(p)/4)
	runtime.AddCleanup(tr, trailMemory.release, tr.memory)
	return tr
}

// place returns where the entry of the series that follows one is, 0 if that is not known.
func (tr *trail) place(ref uint64) uint32 {
	if ref >= uint64(tr.refs.Load()) {
		return 0
	}
	return tr.places[ref].Load()
}

// lay writes a run down and has the places of its series lead there. It returns false if there is no room.
func (tr *trail) lay(r *run) bool {
	at, ok := tr.write(r)
	if ok {
		seen := *tr.seen.Load()
		for _, f := range r.fresh {
			seen[f.hash&uint32(len(seen)-1)].Store(at + f.at)
		}
		for k, ref := range r.refs[:len(r.refs)-1] {
			tr.places[ref].Store(at + r.behind[k])
		}
		tr.laid.Add(int64(len(r.refs))) // also keeps the memory until here
	}
	return ok
}

func (tr *trail) write(r *run) (at uint32, ok bool) {
	tr.laying.Lock()
	defer tr.laying.Unlock()
	refs := max(slices.Max(r.refs)+1, uint64(tr.refs.Load()))
	if refs > math.MaxUint32 || tr.memory.places.Commit(4*refs) != nil {
		return 0, false
	}
	tr.refs.Store(uint32(refs))
	end := uint64(tr.end) + uint64(len(r.data)) + runEnd
	if end > min(trailMin+refs*trailShare, math.MaxUint32) || tr.memory.entries.Commit(end) != nil {
		return 0, false
	}
	at, tr.end = tr.end, uint32(end)
	copy(tr.data[at:], r.data) // what is behind it reads as zero
	if n := len(*tr.seen.Load()); refs > uint64(n)*seenShare {
		seen := make([]atomic.Uint32, 2*n) // what is not in it is written once more
		tr.seen.Store(&seen)
	}
	return at, true
}

// find returns where bytes are among the entries, 0 if they are not, or have been forgotten.
func (tr *trail) find(hash uint32, b []byte) (at uint32) {
	if tr == nil {
		return 0
	}
	seen := *tr.seen.Load()
	at = seen[hash&uint32(len(seen)-1)].Load()
	// The last byte of their edit's head says how many they are: what is behind them may be being written.
	if at == 0 || int(tr.data[at-1]) != len(b) || string(tr.data[at:int(at)+len(b)]) != string(b) {
		return 0
	}
	return at
}

// old reports whether the trail has served long enough to be given up for a new one.
func (tr *trail) old() bool { return tr.asked.Load() > int64(tr.refs.Load())*trailAge }

// bytes is how much memory the trail takes.
func (tr *trail) bytes() uint64 {
	tr.laying.Lock()
	defer tr.laying.Unlock()
	return uint64(tr.end) + 4*uint64(tr.refs.Load())
}

// follower is how far along a trail a request is.
type follower struct {
	trail *trail // nil outside of Append, and if there is none
	at    uint32 // where the next entry is; 0 if that is not known
	key   []byte // of the series before it

	// Records that append will want, to be asked for together.
	recs [8]uintptr
	n    uint
}

// next returns the series that is expected if m begins with its key, and goes on behind it. If not, it stays the next.
func (f *follower) next(stripes []stripe, m []byte) Expected {
	if f.at == 0 {
		return Expected{}
	}
	data, p := f.trail.data, int(f.at)
	entry := binary.LittleEndian.Uint64(data[p:])
	rec, stripe := arena.Ref(uint32(entry)), uint8(entry>>32>>entryStripe&(maxStripes-1))
	labels, edits := int(entry>>32>>entryLabels&maxEntryLabels), int(entry>>32&maxEntryEdits)
	if rec == 0 {
		f.at = 0
		return Expected{}
	}
	p += entryHead
	key, at := f.key, 0
	for ; edits > 0; edits-- {
		edit := binary.LittleEndian.Uint32(data[p:])
		keep, drop, size := int(edit&maxKeep), int(edit>>16&math.MaxUint8), int(edit>>24)
		p += editHead
		fresh := p
		if edit&editElsewhere == 0 {
			p += size
		} else {
			fresh = int(binary.LittleEndian.Uint32(data[p:]))
			p += 4
		}
		mid := at + keep
		end := mid + size
		if end > len(m) || string(m[at:mid]) != string(key[:keep]) || string(m[mid:end]) != string(data[fresh:fresh+size]) {
			return Expected{}
		}
		at, key = end, key[keep+drop:]
	}
	size := at + len(key)
	if size > len(m) || string(m[at:size]) != string(key) {
		return Expected{}
	}
	f.at, f.key = uint32(p), m[:size:size]
	f.fetch(uintptr(unsafe.Pointer(arena.At[record](stripes[stripe].a, rec))))
	return Expected{Known: Known{rec, stripe}, Size: size, Labels: labels}
}

// fetch has a record come from memory.
func (f *follower) fetch(rec uintptr) {
	f.recs[f.n%uint(len(f.recs))] = rec
	if f.n++; f.n%uint(len(f.recs)) == 0 {
		arena.Prefetch(f.recs[:])
	}
}

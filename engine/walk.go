package engine

import (
	"fmt"
	"math"

	"github.com/rekindledb/rekindle/arena"
)

// walk proves that an arena can be used without harm: every reference in bounds, every count right, table,
// index, lists and records in agreement, and no byte in two blocks, so that what is appended to one series changes no
// other. It is done on every image before it is published, because both
// image slots come from the same memory and a checksum proves only what was written; and on every image that
// is loaded, which makes a damaged or foreign one an error and not a crash.
//
// It costs some tens of nanoseconds a series and reads each byte of the index structures once.
func (s *stripe) walk() error {
	_, err := s.claim()
	return err
}

// claim is walk, and returns what belongs to whom.
func (s *stripe) claim() (arena.Claims, error) {
	w := walker{s: s, a: s.a, root: s.root, pairs: newRefSet(s.a.Size()), claims: arena.NewClaims(s.a)}
	for _, step := range []func() error{w.header, w.names, w.lists, w.records, w.table} {
		if err := step(); err != nil {
			return w.claims, fmt.Errorf("stripe %d: %w", s.id, err)
		}
	}
	return w.claims, nil
}

type walker struct {
	s      *stripe
	a      *arena.Arena
	root   *root
	pairs  refSet // pairs that were found sound
	claims arena.Claims

	postings uint64 // entries in all pairs' lists
	open     openChunks
}

// openChunks are some whose memory is to be claimed.
type openChunks struct {
	n      int
	series [group]uint32
	last   [group]arena.Ref
	blocks [group]int
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", arena.ErrDamaged, fmt.Sprintf(format, args...))
}

func (w *walker) header() error {
	r := w.root
	switch {
	case r.mutation.Load()&1 == 1:
		return damaged("the stripe is in the middle of a change")
	case r.pendingLen != 0:
		return damaged("%d entries are pending in an image", r.pendingLen)
	case r.pendingCap != 0 && !w.claims.AddSpan(r.pending, uint64(r.pendingCap)*entrySize):
		return damaged("pending buffer")
	case r.next == 0 || r.live >= r.next || r.next > maxIndex || uint64(r.next)<<w.s.log > maxRef:
		return damaged("%d series with indexes below %d", r.live, r.next)
	case r.series.Len != r.live:
		return damaged("%d series, %d in the table", r.live, r.series.Len)
	case r.nextFile == 0 || r.nextFile >= 1<<24:
		return damaged("next chunk file %d", r.nextFile)
	case !r.series.Check(w.a, w.claims):
		return damaged("table of series")
	case !r.pairs.Check(w.a, w.claims):
		return damaged("table of pairs")
	case !r.names.Check(w.a, w.claims):
		return damaged("table of names")
	case !r.index.Check(w.a, w.claims):
		return damaged("index of series")
	case !w.claims.AddFree():
		return damaged("free memory")
	}
	return nil
}

// names walks the names, and the pairs through the names' lists.
func (w *walker) names() error {
	pairs := uint32(0)
	for _, slot := range w.root.names.Slots(w.a) {
		if uint32(slot) == 0 {
			continue
		}
		nr := refOf(uint32(slot))
		if !w.a.Contains(nr, uint64(nameHead)) {
			return damaged("name at %d", nr)
		}
		n := arena.At[name](w.a, nr)
		if n.size > maxKeySize || !w.claims.Add(nr, uint64(nameHead)+uint64(n.size)) {
			return damaged("name at %d of %d bytes", nr, n.size)
		}
		ok := n.pairs.Check(w.a, w.claims, func(refs []uint32) bool {
			for _, r := range refs {
				if !w.pair(refOf(r), nr) {
					return false
				}
			}
			pairs += uint32(len(refs))
			return true
		})
		if !ok {
			return damaged("pairs of name at %d", nr)
		}
	}
	if pairs != w.root.pairs.Len {
		return damaged("%d pairs in the names' lists, %d in the table", pairs, w.root.pairs.Len)
	}
	return nil
}

func (w *walker) pair(r, owner arena.Ref) bool {
	if !w.a.Contains(r, uint64(pairHead)) {
		return false
	}
	p := arena.At[pair](w.a, r)
	if p.name != owner || p.size > maxKeySize || !w.claims.Add(r, uint64(pairHead)+uint64(p.size)) {
		return false
	}
	n, v, ok := splitPair(w.s.pairBytes(r))
	return ok && len(v) > 0 && string(n) == string(w.s.nameBytes(owner)) && w.pairs.add(r)
}

// lists walks the pairs' lists of series, through the table of pairs.
func (w *walker) lists() error {
	listed := newRefSet(w.a.Size())
	for _, slot := range w.root.pairs.Slots(w.a) {
		if uint32(slot) == 0 {
			continue
		}
		r := refOf(uint32(slot))
		if !w.pairs.has(r) || !listed.add(r) {
			return damaged("the table names a pair at %d that no name lists, or twice", r)
		}
		before := uint32(0)
		ok := arena.At[pair](w.a, r).series.Check(w.a, w.claims, func(indexes []uint32) bool {
			for _, i := range indexes {
				if i <= before || i >= w.root.next {
					return false
				}
				before = i
			}
			w.postings += uint64(len(indexes))
			return true
		})
		if !ok {
			return damaged("series of the pair at %d", r)
		}
	}
	return nil
}

// records walks the records through the index.
func (w *walker) records() error {
	var err error
	n, pairs := uint32(0), uint64(0)
	w.root.index.Walk(w.a, func(i uint32, r arena.Ref) bool {
		n++
		if !w.claims.Add(r, recordSize) || uint64(r)*refUnit%recordSize != 0 {
			err = damaged("record of series %d at %d", i, r)
			return false
		}
		rec := arena.At[record](w.a, r)
		var k int
		if k, err = w.record(i, rec); err != nil {
			return false
		}
		pairs += uint64(k)
		return true
	})
	if err == nil {
		err = w.claimOpen()
	}
	switch {
	case err != nil:
		return err
	case n != w.root.live:
		return damaged("%d series, %d in the index", w.root.live, n)
	case pairs != w.postings:
		return damaged("the series have %d labels, the pairs' lists %d entries", pairs, w.postings)
	}
	return nil
}

func (w *walker) record(i uint32, rec *record) (labels int, err error) {
	switch {
	case rec.index != i || i == 0 || i >= w.root.next:
		return 0, damaged("record of series %d says %d, the next is %d", i, rec.index, w.root.next)
	case rec.kind != kindXOR || rec.ext != 0:
		return 0, damaged("series %d: kind %d is unknown to this version", i, rec.kind)
	case rec.state.N == 0 && rec.chunk != 0, rec.state.N != 0 && rec.chunk == 0:
		return 0, damaged("series %d: %d samples in chunk %d", i, rec.state.N, rec.chunk)
	case rec.link != 0 && (rec.link.file() >= w.root.nextFile || rec.link.offset() < fileHeadSize):
		return 0, damaged("series %d: closed chunk in file %d at %d", i, rec.link.file(), rec.link.offset())
	case !w.a.Contains(rec.labels, 4):
		return 0, damaged("labels of series %d", i)
	}
	if rec.chunk != 0 {
		if !rec.state.Valid() || rec.state.N > math.MaxInt16 {
			return 0, damaged("open chunk of series %d", i)
		}
		if err := w.openChunk(rec); err != nil {
			return 0, err
		}
	}
	n := *arena.At[uint32](w.a, rec.labels)
	if n == 0 || n > maxKeySize/8 || !w.claims.Add(rec.labels, 4+4*uint64(n)) {
		return 0, damaged("series %d has %d labels", i, n)
	}
	for _, p := range w.s.pairsOf(rec.labels) {
		if !w.pairs.has(refOf(p)) {
			return 0, damaged("series %d has a label at %d that is none", i, p)
		}
	}
	return int(n), nil
}

// openChunk sees to it that the memory of an open chunk is claimed, and that it is as much as the chunk needs.
func (w *walker) openChunk(rec *record) error {
	if w.a.Layout() == 1 {
		if !claimOpen1(w.claims, rec) {
			return damaged("open chunk of series %d", rec.index)
		}
		return nil
	}
	o := &w.open
	o.series[o.n], o.last[o.n], o.blocks[o.n] = rec.index, rec.chunk, rec.state.Blocks()
	if o.n++; o.n < group {
		return nil
	}
	return w.claimOpen()
}

func (w *walker) claimOpen() error {
	o := &w.open
	n := o.n
	o.n = 0
	if bad := w.claims.AddChains(o.last[:n], o.blocks[:n]); bad >= 0 {
		return damaged("open chunk of series %d", o.series[bad])
	}
	return nil
}

// table checks that the table of series names series that exist, each once.
func (w *walker) table() error {
	seen := make(bitmap, w.root.next/64+1)
	for _, slot := range w.root.series.Slots(w.a) {
		i := uint32(slot)
		if i == 0 {
			continue
		}
		if w.root.index.Get(w.a, i) == 0 || seen.has(i) {
			return damaged("the table names series %d, which does not exist or was named before", i)
		}
		seen[i/64] |= 1 << (i % 64)
	}
	return nil
}

// refSet is a set of references.
type refSet []uint64

func newRefSet(size uint64) refSet { return make(refSet, size/refUnit/64+1) }

func (s refSet) has(r arena.Ref) bool { return int(r/64) < len(s) && s[r/64]>>(r%64)&1 == 1 }

// add reports whether r was not in the set.
func (s refSet) add(r arena.Ref) bool {
	if s.has(r) {
		return false
	}
	s[r/64] |= 1 << (r % 64)
	return true
}

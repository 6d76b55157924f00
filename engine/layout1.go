package engine

import (
	"unsafe"

	"github.com/rekindledb/rekindle/arena"
)

// take makes the arena that an image of this layout was loaded into the stripe's, if it is sound.
//
// Layout 1 differs in one thing: an open chunk is not a chain of blocks, but lies in one piece, of a size class that the
// record names in a byte that is zero now.
func (s *stripe) take(a *arena.Arena, layout uint32) error {
	s.attach(a)
	if a.Layout() != layout {
		return damaged("the image says layout %d, what it holds says %d", layout, a.Layout())
	}
	claims, err := s.claim()
	if err == nil && layout == 1 {
		err = s.fromLayout1(claims)
	}
	return err
}

// class1 is the size class of a record's open chunk.
func (r *record) class1() *uint8 { return (*uint8)(unsafe.Add(unsafe.Pointer(r), 56)) }

// claimOpen1 claims a record's open chunk.
func claimOpen1(c arena.Claims, rec *record) bool {
	n := arena.ClassSize1(*rec.class1())
	return rec.state.Size() <= n && c.Add(rec.chunk, uint64(n))
}

// fromLayout1 makes chains of the open chunks of an arena of layout 1, which was walked and found to be claimed so. All
// of them are taken out at first: their memory is what the chains are made of.
func (s *stripe) fromLayout1(all arena.Claims) error {
	var (
		recs   []*record
		blocks int
		data   []byte
		chunks = arena.NewClaims(s.a)
	)
	s.root.index.Walk(s.a, func(_ uint32, r arena.Ref) bool {
		if rec := arena.At[record](s.a, r); rec.chunk != 0 {
			recs = append(recs, rec)
			blocks += rec.state.Blocks()
			data = append(data, s.a.Bytes(rec.chunk, rec.state.Size())...)
			claimOpen1(chunks, rec)
		}
		return true
	})
	s.a.Carve(all, chunks)
	// Chunks that were smaller than a block may need more than there was.
	if err := s.a.Ensure(arena.RoomForBlocks(blocks)); err != nil {
		return err
	}
	for _, rec := range recs {
		n := rec.state.Size()
		s.chain(rec, data[:n])
		data = data[n:]
	}
	return nil
}

// chain puts an open chunk into blocks.
func (s *stripe) chain(rec *record, data []byte) {
	rec.chunk, *rec.class1() = 0, 0
	for len(data) > 0 {
		rec.chunk = s.newBlock(rec.chunk)
		data = data[copy(s.block(rec.chunk).Data[:], data):]
	}
	s.a.TouchPtr(unsafe.Pointer(rec), recordSize)
}

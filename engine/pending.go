package engine

import (
	"unsafe"

	"github.com/rekindledb/rekindle/arena"
)

// entry is something that the log must hold: a series or a sample, in the order in which memory took it. 24
// bytes, in the arena, so that a later process can find what a dead one had not logged yet.
//
// The kinds of one stripe keep their order: a series that changes from float to histogram and back inside
// one commit is replayed in that order.
type entry struct {
	index uint32
	kind  uint32 // entryKind
	t     int64  // sample: timestamp. series: Ref of the label set
	v     uint64 // sample: value bits
}

const (
	entrySample = 1 + iota
	entrySeries
)

const entrySize = 24

var _ [entrySize]byte = [unsafe.Sizeof(entry{})]byte{}

const (
	pendingMin = 4096 / entrySize
	// pendingKeep is how large a buffer is kept whatever is in it: what a burst, or a disk that was stuck for a
	// while, made larger is given back.
	pendingKeep = 64 << 10
)

func entriesAt(a *arena.Arena, r arena.Ref, n uint32) []entry {
	return unsafe.Slice(arena.At[entry](a, r), n)
}

// reservePending makes room for n more entries. ErrFull, and nothing changed, if there is none.
func (s *stripe) reservePending(n int) error {
	need := len(s.pend) + n
	if need <= cap(s.pend) {
		return nil
	}
	newCap := max(pendingMin, 2*cap(s.pend), need)
	r, err := s.a.AllocSpan(arena.Pending, newCap*entrySize)
	if err != nil {
		return err
	}
	to := entriesAt(s.a, r, uint32(newCap))[:len(s.pend)]
	copy(to, s.pend)
	if cap(s.pend) > 0 {
		s.a.FreeSpan(arena.Pending, s.root.pending, cap(s.pend)*entrySize)
	}
	s.pend = to
	s.root.pending, s.root.pendingCap = r, uint32(newCap)
	return nil
}

// takePending moves the pending entries behind dst. Called by the committer under mu.
func (s *stripe) takePending(dst []entry, commit uint64) []entry {
	taken := len(s.pend)
	dst = append(dst, s.pend...)
	if cap(s.pend) > pendingKeep && taken < cap(s.pend)/8 {
		s.a.FreeSpan(arena.Pending, s.root.pending, cap(s.pend)*entrySize)
		s.pend, s.root.pending, s.root.pendingCap = nil, 0, 0
	}
	if taken > 0 {
		s.pend = s.pend[:0]
		s.root.pendingLen = 0
		s.root.drained = commit
		s.a.TouchRoot()
	}
	s.dirty.Store(false)
	return dst
}

package arena

// List is an append-only list of integers, held by the client in memory of the arena. 16 bytes.
//
// Up to three values stand in the list itself; most label pairs of a stripe name no more series than that.
// Longer lists are a chain of blocks of growing size; a block never moves, so appending copies nothing.
//
//	Len <= 3   v[:Len] are the values
//	Len >  3   v[0] = first block, v[1] = last block, v[2] = values in the last block
//	block      next Ref, room uint32, values [room]uint32      32, 64, ... 2048 bytes
type List struct {
	Len uint32
	v   [3]uint32
}

const (
	listHead     = 8
	listBlockMin = 32
	listBlockMax = 2048
)

type listBlock struct {
	next Ref
	room uint32
}

// Append adds x. The client touches the memory that holds l itself.
func (l *List) Append(a *Arena, x uint32) error {
	if l.Len < uint32(len(l.v)) {
		l.v[l.Len] = x
		l.Len++
		return nil
	}
	if l.Len == uint32(len(l.v)) {
		r, err := newBlock(a, listBlockMin)
		if err != nil {
			return err
		}
		copy(a.Uint32s(r, listHead, len(l.v)), l.v[:])
		l.v = [3]uint32{uint32(r), uint32(r), l.Len}
	}
	last := At[listBlock](a, Ref(l.v[1]))
	if l.v[2] == last.room {
		size := min(2*(listHead+4*int(last.room)), listBlockMax)
		r, err := newBlock(a, size)
		if err != nil {
			return err
		}
		last.next = r
		a.Touch(Ref(l.v[1]), listHead)
		l.v[1], l.v[2] = uint32(r), 0
	}
	at := listHead + 4*int(l.v[2])
	a.Uint32s(Ref(l.v[1]), at, 1)[0] = x
	a.Touch(Ref(l.v[1])+Ref(at>>refShift), 4)
	l.v[2]++
	l.Len++
	return nil
}

func newBlock(a *Arena, size int) (Ref, error) {
	r, err := a.Alloc(Postings, size)
	if err != nil {
		return 0, err
	}
	At[listBlock](a, r).room = uint32(size-listHead) / 4
	return r, nil
}

// AppendTo appends the values to dst.
func (l *List) AppendTo(a *Arena, dst []uint32) []uint32 {
	if l.Len <= uint32(len(l.v)) {
		return append(dst, l.v[:l.Len]...)
	}
	for r := Ref(l.v[0]); ; {
		b := At[listBlock](a, r)
		if uint32(r) == l.v[1] {
			return append(dst, a.Uint32s(r, listHead, int(l.v[2]))...)
		}
		dst = append(dst, a.Uint32s(r, listHead, int(b.room))...)
		r = b.next
	}
}

// Walk calls f with the values, in runs that are not empty, until f returns false. A copy of a list may be walked while the list itself
// grows: what the copy counts is not changed any more.
func (l *List) Walk(a *Arena, f func(run []uint32) bool) {
	if l.Len <= uint32(len(l.v)) {
		if l.Len > 0 {
			f(l.v[:l.Len])
		}
		return
	}
	for r := Ref(l.v[0]); ; {
		if uint32(r) == l.v[1] {
			f(a.Uint32s(r, listHead, int(l.v[2])))
			return
		}
		b := At[listBlock](a, r)
		if !f(a.Uint32s(r, listHead, int(b.room))) {
			return
		}
		r = b.next
	}
}

// Check walks a list of unknown origin: it claims its blocks, and reports whether it can have them, whether they hold
// as many values as the list says, and whether visit, which is given those in runs, accepts them all.
func (l *List) Check(a *Arena, claims Claims, visit func([]uint32) bool) bool {
	if l.Len <= uint32(len(l.v)) {
		return visit(l.v[:l.Len])
	}
	n := uint64(0)
	for r := Ref(l.v[0]); ; {
		if !a.Contains(r, listHead) {
			return false
		}
		b := *At[listBlock](a, r)
		if size := listHead + 4*uint64(b.room); b.room == 0 || size > listBlockMax || !claims.Add(r, size) {
			return false // a block for the second time too: no cycle goes on for ever
		}
		last := uint32(r) == l.v[1]
		if last {
			if l.v[2] == 0 || l.v[2] > b.room {
				return false
			}
			b.room = l.v[2]
		}
		if n += uint64(b.room); n > uint64(l.Len) || !visit(a.Uint32s(r, listHead, int(b.room))) {
			return false
		}
		if last {
			return n == uint64(l.Len)
		}
		r = b.next
	}
}

package arena

import "unsafe"

// Index maps the index of a series to its record, held by the client in its root. 8 bytes.
//
// What refers to a series uses its index, never its address, so that eviction can move records. Indexes are
// never reused; a table of two levels lets pages of dead ones disappear.
//
//	top    Refs of leaves, room for 1<<topLog of them, replaced by one of twice the size when it is full
//	leaf   1024 Refs of records, one extent
type Index struct {
	top    Ref
	topLog uint32
}

const (
	leafLog   = 10
	topMinLog = 10 // one extent: a million series
	topMaxLog = 32 - leafLog
)

// ref4 is the i-th Ref of the array at r.
func ref4(a *Arena, r Ref, i uint32) *Ref {
	return (*Ref)(unsafe.Add(a.base, uintptr(r)<<refShift+uintptr(i)*4))
}

// Get returns what i maps to, or 0.
func (x *Index) Get(a *Arena, i uint32) Ref {
	if x.top == 0 || i>>leafLog>>x.topLog != 0 {
		return 0
	}
	leaf := *ref4(a, x.top, i>>leafLog)
	if leaf == 0 {
		return 0
	}
	return *ref4(a, leaf, i&(1<<leafLog-1))
}

// Set maps i to r.
func (x *Index) Set(a *Arena, i uint32, r Ref) error {
	for x.top == 0 || i>>leafLog>>x.topLog != 0 {
		if err := x.grow(a); err != nil {
			return err
		}
	}
	leaf := ref4(a, x.top, i>>leafLog)
	if *leaf == 0 {
		l, err := a.AllocSpan(Indexes, 4<<leafLog)
		if err != nil {
			return err
		}
		*leaf = l
		a.Touch(x.top+Ref(i>>leafLog)/2, 4)
	}
	*ref4(a, *leaf, i&(1<<leafLog-1)) = r
	a.Touch(*leaf, 4<<leafLog)
	return nil
}

func (x *Index) grow(a *Arena) error {
	log := max(x.topLog+1, topMinLog)
	r, err := a.AllocSpan(Indexes, 4<<log)
	if err != nil {
		return err
	}
	if x.top != 0 {
		copy(a.Uint32s(r, 0, 1<<x.topLog), a.Uint32s(x.top, 0, 1<<x.topLog))
		a.FreeSpan(Indexes, x.top, 4<<x.topLog)
	}
	x.top, x.topLog = r, log
	a.TouchRoot()
	return nil
}

// Check claims the index's memory, and reports whether it can have it.
func (x *Index) Check(a *Arena, claims Claims) bool {
	if x.top == 0 {
		return x.topLog == 0
	}
	if x.topLog < topMinLog || x.topLog > topMaxLog || !claims.AddSpan(x.top, 4<<x.topLog) {
		return false
	}
	for _, leaf := range a.Uint32s(x.top, 0, 1<<x.topLog) {
		if leaf != 0 && !claims.AddSpan(Ref(leaf), 4<<leafLog) {
			return false
		}
	}
	return true
}

// Walk calls f for every index that maps to something, ascending, until f returns false.
func (x *Index) Walk(a *Arena, f func(i uint32, r Ref) bool) {
	if x.top == 0 {
		return
	}
	for t, leaf := range a.Uint32s(x.top, 0, 1<<x.topLog) {
		if leaf == 0 {
			continue
		}
		for k, r := range a.Uint32s(Ref(leaf), 0, 1<<leafLog) {
			if r != 0 && !f(uint32(t)<<leafLog|uint32(k), Ref(r)) {
				return
			}
		}
	}
}

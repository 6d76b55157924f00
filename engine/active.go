package engine

import "github.com/rekindledb/rekindle/arena"

// Active returns how many series have a sample at since, in milliseconds, or after it. A million are looked at in some
// tens of milliseconds.
func (t *Tenant) Active(since int64) (n uint64) {
	if t.enter() != nil {
		return 0 // the tenant is going away
	}
	defer t.leave()
	for i := range t.stripes {
		n += t.stripes[i].active(since)
	}
	return n
}

func (s *stripe) active(since int64) (n uint64) {
	next := s.nextIndex()
	for from := uint32(1); from < next; from += lockStep {
		s.mu.Lock()
		for index := from; index < min(from+lockStep, next); index++ {
			if ref := s.root.index.Get(s.a, index); ref != 0 && arena.At[record](s.a, ref).state.T >= since {
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}

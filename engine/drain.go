package engine

import (
	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/walio"
)

// Drain builds a commit: it takes the pending entries of every stripe, and the image that is wanted, each
// stripe in one critical section. That is what makes "the image of commit c" exact: the stripe's pending
// entries are in commits <= c, and nothing else is in the image. Called by the log's committer only.
func (t *Tenant) Drain(commit uint64, b *walio.Batch) {
	wanted := t.images.claim()
	drained := 0
	for i := range t.stripes {
		s := &t.stripes[i]
		image := wanted>>i&1 == 1
		if !image && !s.dirty.Load() {
			continue
		}
		s.mu.Lock()
		if s.a == nil {
			s.mu.Unlock()
			continue
		}
		t.drained = s.takePending(t.drained[:0], commit)
		if image {
			t.images.copyLocked(s, commit)
		}
		s.mu.Unlock()
		s.encode(t, b)
		drained += len(t.drained)
	}
	if wanted != 0 {
		b.Force() // the commit is the image's, even if it holds nothing
		t.images.done()
	}
	t.pending.Add(-int64(drained))
	t.logged.Add(int64(drained))
}

// encode puts drained entries into the commit. Labels are read without the lock: they never change.
func (s *stripe) encode(t *Tenant, b *walio.Batch) {
	for i := range t.drained {
		e := &t.drained[i]
		if e.kind == entrySeries {
			t.key = s.appendKey(t.key[:0], arena.Ref(e.t))
			b.Series(s.ref(e.index), t.key)
			continue
		}
		b.Sample(s.ref(e.index), e.t, e.v)
	}
}

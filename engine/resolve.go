package engine

import (
	"math"
	"slices"
	"unsafe"

	"github.com/cespare/xxhash/v2"

	"github.com/rekindledb/rekindle/arena"
)

// group is how many series are looked up together, so that their cache misses overlap.
const group = 32

// appendWork is a batch's working memory: by position in Batch.Series what is known of a series, and the positions
// ordered by stripe.
type appendWork struct {
	stripes []uint8
	recs    []arena.Ref // in the stripe; 0 if the series was not found
	missed  []uint32    // positions that the trail did not lead to
	order   []uint32    // positions, stripe by stripe
	offsets [maxStripes + 1]uint32
	known   [maxStripes]knownSet
}

// resolve finds out which stripe each series of the batch belongs to and, as far as the trail leads, where its
// record lies.
//
// Senders keep to an order, scrape after scrape. So the series that followed the one before when they were sent last
// is most likely the next: its labels are compared with the request's, and if they are the same there is nothing to
// hash and nothing to look up in a table. The trail is followed some steps ahead, so that records and label sets are
// on their way from memory when they are compared. A wrong guess costs a lookup under the stripe's lock, and a request
// with too many of them goes on without guessing.
//
// No lock is held: label sets never change and never move, and neither does a record while Engine.appending is held.
func (t *Tenant) resolve(b *Batch) {
	w, n := &b.work, len(b.Series)
	w.reset(n, len(t.stripes))
	var ahead guesses
	ahead.begin(t, 0, n)
	for at := 0; at < n; {
		if len(w.missed) > missesMin+at/missesShare {
			for ; at < n; at++ {
				b.Series[at].hash = xxhash.Sum64(b.Series[at].Key)
				w.miss(at, t.stripeOf(b.Series[at].hash), 0)
			}
			return
		}
		g := ahead.next()
		k := 0
		for ; k < g.n; k++ {
			stripe := g.stripes[k]
			if !w.known[stripe].is(&t.stripes[stripe], g.recs[k].labels, b.Series[at+k].Key) {
				break
			}
			w.stripes[at+k], w.recs[at+k] = stripe, g.refs[k]
		}
		if at += k; k > 0 && k == g.n || at == n {
			continue
		}
		// A new series does not end the trail: what was to come here may come behind it.
		next := g.at(k)
		bs := &b.Series[at]
		bs.hash = xxhash.Sum64(bs.Key)
		stripe := t.stripeOf(bs.hash)
		index, rec := t.stripes[stripe].findRecord(bs)
		w.miss(at, stripe, rec)
		if rec != 0 {
			next = t.stripes[stripe].trail.get(index).next()
		}
		at++
		ahead.begin(t, next, n-at)
	}
}

// A request that the trail does not lead through is not guessed to its end: this many misses, and one of missesShare
// series more.
const (
	missesMin   = 8
	missesShare = 4
)

func (t *Tenant) stripeOf(hash uint64) uint8 { return uint8(hash & uint64(len(t.stripes)-1)) }

// learn lays the trail where it did not lead, now that all series are known but those that were refused.
func (t *Tenant) learn(b *Batch) {
	w := &b.work
	for _, i := range w.missed {
		if i > 0 {
			t.link(w, int(i)-1)
		}
		t.link(w, int(i))
	}
}

// link notes where the record of the series at position i lies, and which one follows it.
func (t *Tenant) link(w *appendWork, i int) {
	if w.recs[i] == 0 {
		return
	}
	next := uint64(0)
	if i+1 < len(w.recs) && w.recs[i+1] != 0 {
		s := &t.stripes[w.stripes[i+1]]
		if next = s.ref(arena.At[record](s.a, w.recs[i+1]).index); next > math.MaxUint32 {
			next = 0
		}
	}
	s := &t.stripes[w.stripes[i]]
	s.trail.note(arena.At[record](s.a, w.recs[i]).index, w.recs[i], uint32(next))
}

// findRecord looks a series up in the table.
func (s *stripe) findRecord(bs *BatchSeries) (index uint32, rec arena.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		return 0, 0
	}
	if index = s.find(bs.Key, bs.hash); index != 0 {
		rec = s.root.index.Get(s.a, index)
	}
	return index, rec
}

func (w *appendWork) reset(n, stripes int) {
	w.stripes = slices.Grow(w.stripes[:0], n)[:n]
	w.recs = slices.Grow(w.recs[:0], n)[:n]
	w.missed = w.missed[:0]
	for i := range w.known[:stripes] {
		w.known[i].forget()
	}
}

// miss says that the trail did not lead to the series at position i.
func (w *appendWork) miss(i int, stripe uint8, rec arena.Ref) {
	w.stripes[i], w.recs[i] = stripe, rec
	w.missed = append(w.missed, uint32(i))
}

// guesses are steps of the trail, taken ahead of the comparison so that it finds in the cache what it needs:
//
//	steps taken, records asked for  │  label sets asked for  │  compared
//	        groups[2]               │       groups[1]        │  groups[0]
type guesses struct {
	t      *Tenant
	groups [3]guessGroup
	first  int    // of groups
	ref    uint32 // of the next step, 0 if the trail ends
	left   int    // steps
}

// guessGroup is the series of some steps.
type guessGroup struct {
	n       int
	from    uint32 // ref of the first
	stripes [guessed]uint8
	refs    [guessed]arena.Ref
	recs    [guessed]*record
	after   [guessed]uint32 // ref of the series that follows
}

// guessed is how many steps are taken together: about as many cache lines as can be on their way.
const guessed = 16

// at is the ref of the series at step k, or behind the last one.
func (g *guessGroup) at(k int) uint32 {
	if k == 0 {
		return g.from
	}
	return g.after[k-1]
}

// begin starts at the series ref, for up to n steps.
func (g *guesses) begin(t *Tenant, ref uint32, n int) {
	g.t, g.ref, g.left = t, ref, n
	g.groups[0].n, g.groups[1].n = 0, 0
	g.walk(&g.groups[1])
	g.fetchLabels(&g.groups[1])
	g.walk(&g.groups[2])
	g.first = 0
}

// next returns the group whose turn it is, empty if the trail has ended.
func (g *guesses) next() *guessGroup {
	oldest := &g.groups[g.first]
	g.first = (g.first + 1) % len(g.groups)
	g.walk(oldest)
	g.fetchLabels(&g.groups[(g.first+1)%len(g.groups)])
	return &g.groups[g.first]
}

// walk takes the next steps and asks for the records.
func (g *guesses) walk(to *guessGroup) {
	t := g.t
	mask := uint32(len(t.stripes) - 1)
	var addrs [guessed]unsafe.Pointer
	to.from = g.ref
	ref, k := g.ref, 0
	for n := min(g.left, guessed); k < n && ref != 0; k++ {
		s := &t.stripes[ref&mask]
		x := s.trail.get(ref >> t.log)
		if x.record() == 0 {
			ref = 0
			break
		}
		to.stripes[k], to.refs[k] = uint8(ref&mask), x.record()
		to.recs[k] = arena.At[record](s.a, x.record())
		addrs[k] = unsafe.Pointer(to.recs[k])
		ref = x.next()
		to.after[k] = ref
	}
	to.n, g.ref = k, ref
	g.left -= k
	arena.Prefetch(addrs[:k])
}

// fetchLabels asks for the label sets of a group whose records are here by now.
func (g *guesses) fetchLabels(of *guessGroup) {
	var addrs [guessed]unsafe.Pointer
	for k := range of.n {
		addrs[k] = unsafe.Pointer(arena.At[uint32](g.t.stripes[of.stripes[k]].a, of.recs[k].labels))
	}
	arena.Prefetch(addrs[:of.n])
}

package engine

import (
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/rekindledb/rekindle/arena"
)

// group is how many series are looked up together, so that their cache misses overlap.
const group = 32

// appendWork is a batch's working memory: what is known of its series, and their positions ordered by stripe.
type appendWork struct {
	ahead    guesses
	resolved int // series of the batch that have been looked up, or need not be
	missed   []uint32
	order    []uint32 // positions, stripe by stripe
	offsets  [maxStripes + 1]uint32
	known    [maxStripes]knownSet
}

// Known is where a series lies that a tenant has already.
type Known struct {
	rec    arena.Ref // 0 if it is not known
	stripe uint8
}

// Expected is the series that Batch.Expect found at the beginning of labels.
type Expected struct {
	Known  Known
	Size   int // of the key, in bytes; 0 if nothing was found
	Labels int
}

// Expect is for a decoder that Append called (Batch.Source), before each series: m begins with the labels of the next
// one, and left is how many will come, that one included, at a guess. If m begins with the key of the series that
// followed when the one before was sent last, all that there is to say of its labels is how many bytes they have. It is
// for the decoder to see that no label follows behind them, and to hand on what is known in BatchSeries.Known.
//
// Senders keep to an order, scrape after scrape. So the series that followed the one before when they were sent last
// is most likely the next: its labels are compared with the request's, and if they are the same there is nothing to
// decode, to hash, and to look up in a table. The trail is followed some steps ahead, so that records and label sets are
// on their way from memory when they are compared. A wrong guess costs a lookup under the stripe's lock, and a request
// with too many of them goes on without guessing.
//
// No lock is held: label sets never change and never move, and neither does a record while Engine.appending is held.
func (b *Batch) Expect(m []byte, left int) Expected {
	w := &b.work
	if w.ahead.t == nil {
		return Expected{}
	}
	for ; w.resolved < len(b.Series); w.resolved++ {
		if b.Series[w.resolved].Known.rec == 0 {
			w.lookUp(b, w.resolved, left)
		}
	}
	return w.follow(m, left)
}

// begin prepares for the series of a batch that have not been decoded yet, or not by a decoder that asks. Without a
// tenant nothing will be guessed.
func (w *appendWork) begin(t *Tenant) {
	w.resolved, w.missed = 0, w.missed[:0]
	w.ahead.reset(t)
	if t != nil {
		for i := range w.known[:len(t.stripes)] {
			w.known[i].forget()
		}
	}
}

// resolve finds out which stripe each series of the batch belongs to and, as far as the trail leads, where its
// record lies, of those that Expect has not found.
func (t *Tenant) resolve(b *Batch) {
	w := &b.work
	if w.ahead.t == nil {
		w.begin(t)
	}
	for n := len(b.Series); w.resolved < n; w.resolved++ {
		bs := &b.Series[w.resolved]
		if b.Source != nil && bs.Known.rec != 0 { // without one it may be of an earlier Append
			continue
		}
		if x := w.follow(bs.Key, n-w.resolved); x.Size == len(bs.Key) {
			bs.Known = x.Known
		} else {
			w.lookUp(b, w.resolved, n-w.resolved-1)
		}
	}
	w.ahead.end()
}

// lost reports whether the trail does not lead through the request: more misses than a few, and one of missesShare
// series.
func (w *appendWork) lost() bool { return len(w.missed) > missesMin+w.resolved/missesShare }

const (
	missesMin   = 8
	missesShare = 4
)

// follow compares the next guess with the beginning of m. A wrong one stays the next: a new series does not end the
// trail, what was to come here may come behind it.
func (w *appendWork) follow(m []byte, left int) Expected {
	if w.lost() {
		return Expected{}
	}
	g, i := w.ahead.next(left)
	if i == g.n {
		return Expected{}
	}
	stripe := g.stripes[i]
	s, known, set, differs := &w.ahead.t.stripes[stripe], &w.known[stripe], g.recs[i].labels, g.differs[i]
	if g.before[i] != known.set {
		differs = s.differing(set, known.set)
	}
	size, ok := known.match(s, set, differs, m)
	if !ok {
		return Expected{}
	}
	w.ahead.k++
	return Expected{Known: Known{g.refs[i], stripe}, Size: size, Labels: len(s.pairsOf(set))}
}

// lookUp finds a series that was not guessed in the table, and goes on from there. left is how many series follow. When
// the trail is lost the stripe will find it, together with others.
func (w *appendWork) lookUp(b *Batch, at, left int) {
	t, bs := w.ahead.t, &b.Series[at]
	bs.hash = xxhash.Sum64(bs.Key)
	stripe := t.stripeOf(bs.hash)
	if w.lost() {
		w.miss(b, at, Known{stripe: stripe})
		return
	}
	s := &t.stripes[stripe]
	index, rec := s.findRecord(bs)
	w.miss(b, at, Known{rec, stripe})
	if rec == 0 {
		return
	}
	next := s.trail.get(index).next()
	if g, i := w.ahead.next(left); next != 0 && (i == g.n || g.series[i] != next) {
		w.ahead.begin(next, left)
	}
}

// miss says that the trail did not lead to the series at a position.
func (w *appendWork) miss(b *Batch, at int, known Known) {
	b.Series[at].Known = known
	w.missed = append(w.missed, uint32(at))
}

func (t *Tenant) stripeOf(hash uint64) uint8 { return uint8(hash & uint64(len(t.stripes)-1)) }

// learn lays the trail where it did not lead, now that all series are known but those that were refused.
func (t *Tenant) learn(b *Batch) {
	for _, i := range b.work.missed {
		if i > 0 {
			t.link(b, int(i)-1)
		}
		t.link(b, int(i))
	}
}

// link notes where the record of the series at position i lies, and which one follows it.
func (t *Tenant) link(b *Batch, i int) {
	at := b.Series[i].Known
	if at.rec == 0 {
		return
	}
	next := uint64(0)
	if i+1 < len(b.Series) {
		if then := b.Series[i+1].Known; then.rec != 0 {
			s := &t.stripes[then.stripe]
			if next = s.ref(arena.At[record](s.a, then.rec).index); next > math.MaxUint32 {
				next = 0
			}
		}
	}
	s := &t.stripes[at.stripe]
	s.trail.note(arena.At[record](s.a, at.rec).index, at.rec, uint32(next))
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

package engine

import (
	"github.com/cespare/xxhash/v2"

	"github.com/rekindledb/rekindle/arena"
)

// group is how many series are looked up together, so that their cache misses overlap.
const group = 32

// appendWork is a batch's working memory: what is known of its series, and their positions ordered by stripe.
type appendWork struct {
	tenant   *Tenant  // nil outside of Append, and if it is not there yet
	ahead    follower // of the trail
	resolved int      // series of the batch that have been looked up, or need not be
	missed   int      // those to which the trail did not lead
	run      run
	order    []uint32 // positions, stripe by stripe
	offsets  [maxStripes + 1]uint32
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
// one. If it begins with the key of the series that followed when the one before was sent last, all that there is to say
// of its labels is how many bytes they have. It is for the decoder to see that no label follows behind them, and to hand
// on what is known in BatchSeries.Known.
//
// Senders keep to an order, scrape after scrape. So the series that followed the one before when they were sent last
// is most likely the next: its key, as the trail has it, is compared with the request's, and if they are the same there
// is nothing to decode, to hash, and to look up in a table. A wrong guess costs a lookup under the stripe's lock, and
// a request with too many of them goes on without guessing.
//
// No lock is held: a trail never changes where it has been laid, and a record does not move while Engine.appending is held.
func (b *Batch) Expect(m []byte) Expected {
	w := &b.work
	if w.tenant == nil {
		return Expected{}
	}
	for ; w.resolved < len(b.Series); w.resolved++ {
		if b.Series[w.resolved].Known.rec == 0 {
			w.lookUp(&b.Series[w.resolved])
		}
	}
	return w.follow(m)
}

// begin prepares for the series of a batch that have not been decoded yet, or not by a decoder that asks. Without a
// tenant nothing will be guessed.
func (w *appendWork) begin(t *Tenant) {
	w.resolved, w.missed = 0, 0
	w.tenant, w.ahead = t, follower{}
	if t != nil {
		w.ahead.trail = t.trail.Load()
	}
}

// end says that nothing is to be guessed any more.
func (w *appendWork) end() { w.tenant, w.ahead = nil, follower{} }

// resolve finds out which stripe each series of the batch belongs to and, as far as the trail leads, where its
// record lies, of those that Expect has not found.
func (t *Tenant) resolve(b *Batch) {
	w := &b.work
	if w.tenant == nil {
		w.begin(t)
	}
	for n := len(b.Series); w.resolved < n; w.resolved++ {
		bs := &b.Series[w.resolved]
		if b.Source != nil && bs.Known.rec != 0 { // without one it may be of an earlier Append
			continue
		}
		if x := w.follow(bs.Key); x.Size == len(bs.Key) {
			bs.Known = x.Known
		} else {
			w.lookUp(bs)
		}
	}
}

// lost reports whether the trail does not lead through the request: more misses than a few, and one of missesShare
// series.
func (w *appendWork) lost() bool { return w.missed > missesMin+w.resolved/missesShare }

const (
	missesMin   = 8
	missesShare = 4
)

// follow compares the series that is expected with the beginning of m. If it is another one, it stays the next: a new
// series does not end the trail, what was to come here may come behind it.
func (w *appendWork) follow(m []byte) Expected {
	if w.lost() {
		return Expected{}
	}
	return w.ahead.next(w.tenant.stripes, m)
}

// lookUp finds a series to which the trail did not lead in the table, and goes on from there. When the trail is lost the
// stripe will find it, together with others.
func (w *appendWork) lookUp(bs *BatchSeries) {
	t := w.tenant
	bs.hash = xxhash.Sum64(bs.Key)
	bs.Known = Known{stripe: t.stripeOf(bs.hash)}
	w.missed++
	if w.lost() {
		return
	}
	s := &t.stripes[bs.Known.stripe]
	var index uint32
	index, bs.Known.rec = s.findRecord(bs)
	if tr := w.ahead.trail; tr != nil && index != 0 {
		if at := tr.place(s.ref(index)); at != 0 {
			w.ahead.at, w.ahead.key = at, bs.Key
		}
	}
}

func (t *Tenant) stripeOf(hash uint64) uint8 { return uint8(hash & uint64(len(t.stripes)-1)) }

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

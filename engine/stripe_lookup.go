package engine

import "github.com/rekindledb/rekindle/arena"

// group is how many series are looked up together, so that their cache misses overlap.
//
// A sample's way leads through the slot, the index, the record, the label set and its pairs, and the end of
// the open chunk: none in the cache, each found by the one before. Walked one series after another that is
// half a dozen misses in a row. Each loop here loads one level for the whole group, so that its misses overlap,
// and the loops that follow find everything near.
const group = 32

// lookUp finds the records of a group of series; nil where there is none yet.
//
// Senders keep to an order, scrape after scrape, and a stripe numbers its series in the order in which they came
// first. So the series behind one that was found is most likely the next: that is tried before the table, which
// costs two levels more, and records and label sets of neighbours lie side by side. next is the index that the
// group's first series is expected at, 0 if none is.
func (s *stripe) lookUp(b *Batch, items []uint32, next uint32, recs *[group]*record) {
	if next == 0 {
		next = s.root.series.First(s.a, tagOf(b.Series[items[0]].Hash))
	}
	found := 0
	if next != 0 && s.strays < straysMax {
		found = s.guess(b, items, next, recs)
	} else {
		clear(recs[:len(items)])
	}
	// Where there is no such order little is lost: a few guesses, now and then.
	switch {
	case s.strays >= straysMax+groupsUnguessed:
		s.strays = 0
	case s.strays >= straysMax || 2*found < len(items):
		s.strays++
	default:
		s.strays = 0
	}
	if found < len(items) {
		s.search(b, items, recs)
	}
}

const (
	straysMax       = 4  // groups in a row of which more than half were not where they were expected
	groupsUnguessed = 64 // that follow
)

// guess tries the series from index next on, and returns how many of the group it found.
func (s *stripe) guess(b *Batch, items []uint32, next uint32, recs *[group]*record) (found int) {
	var tails [group]arena.Ref
	for i := range items {
		recs[i], tails[i] = nil, 0
		if r := s.root.index.Get(s.a, next+uint32(i)); r != 0 {
			recs[i] = arena.At[record](s.a, r)
			tails[i] = recs[i].tail()
		}
	}
	s.a.Prefetch(tails[:len(items)])
	var known []uint32 // the label set found last, and its key
	var knownKey []byte
	for i, item := range items {
		r, key := recs[i], b.Series[item].Key
		if r == nil {
			continue
		}
		set := s.pairsOf(r.labels)
		if !s.isKey(set, key, known, knownKey) {
			recs[i] = nil
			continue
		}
		known, knownKey = set, key
		found++
	}
	return found
}

// search finds those series of a group that have no record yet in the table.
func (s *stripe) search(b *Batch, items []uint32, recs *[group]*record) {
	var (
		at   [group]uint8 // which
		refs [group]arena.Ref
		n    int
		sum  uint32 // keeps the loads alive

		tails [group]arena.Ref
	)
	for i, item := range items {
		if recs[i] == nil {
			at[n] = uint8(i)
			n++
			sum += uint32(s.root.series.Slot(s.a, tagOf(b.Series[item].Hash)))
		}
	}
	for k, i := range at[:n] {
		refs[k] = 0
		if v := s.root.series.First(s.a, tagOf(b.Series[items[i]].Hash)); v != 0 {
			refs[k] = s.root.index.Get(s.a, v)
		}
	}
	for k := range at[:n] {
		if refs[k] != 0 {
			sum += uint32(arena.At[record](s.a, refs[k]).labels)
		}
	}
	for k := range at[:n] {
		tails[k] = 0
		if refs[k] != 0 {
			r := arena.At[record](s.a, refs[k])
			set := s.pairsOf(r.labels)
			sum += set[len(set)-1]
			tails[k] = r.tail()
		}
	}
	s.a.Prefetch(tails[:n])
	for k := range at[:n] {
		if refs[k] != 0 {
			for _, p := range s.pairsOf(arena.At[record](s.a, refs[k]).labels) {
				sum += arena.At[pair](s.a, arena.Ref(p)).size
			}
		}
	}
	s.warm = sum
	for k, i := range at[:n] {
		if refs[k] == 0 {
			continue
		}
		if r := arena.At[record](s.a, refs[k]); s.hasKey(s.pairsOf(r.labels), b.Series[items[i]].Key) {
			recs[i] = r
		}
	}
}

package engine

import "github.com/rekindledb/rekindle/arena"

// load finds the records of a group of series, nil where there is none yet, and asks for the ends of their open chunks.
func (s *stripe) load(b *Batch, items []uint32, recs *[group]*record) {
	var tails [group]arena.Ref
	known := 0
	for i, item := range items {
		recs[i], tails[i] = nil, 0
		if r := b.Series[item].Known.rec; r != 0 {
			recs[i] = arena.At[record](s.a, r)
			tails[i] = recs[i].tail()
			known++
		}
	}
	s.a.Prefetch(tails[:len(items)])
	if known < len(items) {
		s.search(b, items, recs)
	}
}

// search finds those series of a group that have no record yet in the table.
//
// The way leads through the slot, the index, the record, the label set and its pairs: none in the cache, each found by
// the one before. Walked one series after another that is half a dozen misses in a row. Each loop here loads one
// level for the whole group, so that its misses overlap, and the loops that follow find everything near.
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
			sum += uint32(s.root.series.Slot(s.a, tagOf(b.Series[item].hash)))
		}
	}
	for k, i := range at[:n] {
		refs[k] = 0
		if v := s.root.series.First(s.a, tagOf(b.Series[items[i]].hash)); v != 0 {
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

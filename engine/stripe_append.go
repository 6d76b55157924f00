package engine

import (
	"math"
	"unsafe"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/engine/xor"
)

// bounds are the limits that one request is judged by, fixed when it arrives.
type bounds struct {
	minT, maxT int64  // inclusive
	now        uint32 // wall clock, seconds
}

// outcome is what became of a request's samples.
type outcome struct {
	stored, duplicates int
	newSeries          int
	rejected           [NumReasons]int
	minT, maxT         int64 // of what was stored

	// The first refusal, by position in the request.
	firstSeries, firstSample int
	first                    Reason
	existing                 uint64 // the value that stood there, for ReasonNewValue
}

func (o *outcome) reject(series, sample int, r Reason, existing uint64) {
	o.rejected[r]++
	if o.first == ReasonNone || sample < o.firstSample {
		o.firstSeries, o.firstSample, o.first, o.existing = series, sample, r, existing
	}
}

// append stores the samples of the series items (positions in b.Series) that belong to this stripe.
// An error (arena.ErrFull) means that some may be stored and pending, and that the request as a whole is not.
func (s *stripe) append(b *Batch, items []uint32, bd bounds, o *outcome) error {
	samples := 0
	for _, i := range items {
		samples += int(b.Series[i].Hi - b.Series[i].Lo)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	defer s.guard()
	s.begin()
	err := s.appendLocked(b, items, samples, bd, o)
	s.root.pendingLen = uint32(len(s.pend))
	if !s.logged {
		s.pend, s.root.pendingLen = s.pend[:0], 0
	} else if len(s.pend) > 0 {
		s.dirty.Store(true)
	}
	s.end()
	return err
}

func (s *stripe) appendLocked(b *Batch, items []uint32, samples int, bd bounds, o *outcome) error {
	// Everything that can fail for lack of memory fails here, or in create. Pending entries first: they are
	// allocated, the room for chunks is only set aside.
	if err := s.reservePending(samples + len(items)); err != nil {
		return err
	}
	if err := s.a.Ensure(chunkRoom(len(items), samples)); err != nil {
		return err
	}
	before := len(s.pend)
	defer func() { s.tail.Add(int64(len(s.pend) - before)) }()
	var recs [group]*record
	for len(items) > 0 {
		n := min(group, len(items))
		s.load(b, items[:n], &recs)
		for i, item := range items[:n] {
			rec, err := s.appendSeries(b, int(item), recs[i], bd, o)
			if err != nil {
				return err
			}
			if b.work.recs[item] == 0 && rec != nil {
				b.work.recs[item] = s.a.RefOf(unsafe.Pointer(rec))
			}
		}
		items = items[n:]
	}
	return nil
}

// chunkRoom is what the samples of some series can need of new chunk memory, in the worst case: a chunk of the
// largest class a sample, and no more than one of each class a series, which frees them on its way.
func chunkRoom(series, samples int) uint64 {
	return min(uint64(samples)*uint64(arena.ClassSize(uint8(arena.NumClasses-1))), uint64(series)*chunkOfEachClass) + 1<<20
}

var chunkOfEachClass = func() (sum uint64) {
	for c := range arena.NumClasses {
		sum += uint64(arena.ClassSize(uint8(c)))
	}
	return sum
}()

// appendSeries stores the samples of one series and returns its record, nil if there is none. rec is what load
// found.
func (s *stripe) appendSeries(b *Batch, item int, rec *record, bd bounds, o *outcome) (*record, error) {
	bs := &b.Series[item]
	if rec == nil {
		// A series that is new, or was new a moment ago: earlier in this request.
		if i := s.find(bs.Key, bs.hash); i != 0 {
			rec = s.record(i)
		}
	}
	for k := bs.Lo; k < bs.Hi; k++ {
		t, v := b.Samples[k].T, b.Samples[k].V
		switch {
		case t < bd.minT:
			o.reject(item, int(k), ReasonOutOfBounds, 0)
			continue
		case t > bd.maxT:
			o.reject(item, int(k), ReasonTooFarInFuture, 0)
			continue
		case rec == nil:
			// Only a sample that will be stored makes a series.
			var err error
			if rec, err = s.create(bs.Key, bs.hash, 0); err != nil {
				return nil, err
			}
			s.pend = append(s.pend, entry{index: rec.index, kind: entrySeries, t: int64(rec.labels)})
			o.newSeries++
		case t == rec.state.T:
			if v == rec.state.V {
				o.duplicates++
			} else {
				o.reject(item, int(k), ReasonNewValue, rec.state.V)
			}
			continue
		case t < rec.state.T:
			o.reject(item, int(k), ReasonOutOfOrder, 0)
			continue
		}
		s.put(rec, t, v)
		rec.lastSeen = bd.now
		s.pend = append(s.pend, entry{index: rec.index, kind: entrySample, t: t, v: v})
		o.stored++
		o.minT, o.maxT = min(o.minT, t), max(o.maxT, t)
	}
	return rec, nil
}

// put adds a sample, newer than the series' newest, to its open chunk. Memory for it was set aside.
func (s *stripe) put(rec *record, t int64, v uint64) {
	before := rec.state.Bits
	s.encodeSample(rec, t, v)
	s.touchOpen(rec, before)
	r := s.root
	r.stored++
	r.minT, r.maxT = min(r.minT, t), max(r.maxT, t)
}

// putRun is put for samples of one series in order. It returns how many it stored: those behind the newest one,
// from floor on. The rest are stale, or were given up on purpose.
func (s *stripe) putRun(rec *record, samples []refSample, floor int64) (stored, stale int) {
	before := rec.state.Bits
	first := int64(math.MaxInt64)
	for i := range samples {
		x := &samples[i]
		if x.t <= rec.state.T {
			stale++
			continue
		}
		if x.t < floor {
			continue
		}
		if stored++; stored == 1 {
			first = x.t
		}
		s.encodeSample(rec, x.t, x.v)
	}
	if stored == 0 {
		return 0, stale
	}
	rec.lastSeen = uint32(rec.state.T / 1000)
	s.touchOpen(rec, before)
	r := s.root
	r.stored += uint64(stored)
	r.minT, r.maxT = min(r.minT, first), max(r.maxT, rec.state.T)
	return stored, stale
}

// encodeSample adds a sample to the open chunk, which it closes and begins as needed.
func (s *stripe) encodeSample(rec *record, t int64, v uint64) {
	if rec.state.N > 0 && rec.full(t) {
		s.closeChunk(rec)
	}
	if rec.chunk == 0 {
		c, err := s.a.AllocChunk(0)
		check(err)
		rec.chunk, rec.class = c, 0
		xor.Start(&rec.state)
	}
	for !xor.Append(s.a.Bytes(rec.chunk, arena.ClassSize(rec.class)), &rec.state, t, v) {
		s.growChunk(rec)
	}
}

// touchOpen marks what adding samples changed: the record, and the open chunk from bit before on. A chunk that was
// begun or moved meanwhile is marked already.
func (s *stripe) touchOpen(rec *record, before uint16) {
	at := int(before) / 8
	if rec.state.Bits < before {
		at = 0
	}
	// The appender may store whole words beyond the sample's end.
	s.a.Touch(rec.chunk+arena.Ref(at/refUnit), arena.ClassSize(rec.class)-at/refUnit*refUnit)
	s.a.TouchPtr(unsafe.Pointer(rec), recordSize)
}

// growChunk moves an open chunk into the next size class.
func (s *stripe) growChunk(rec *record) {
	used := rec.state.Size()
	c, err := s.a.AllocChunk(rec.class + 1)
	check(err)
	copy(s.a.Bytes(c, used), s.a.Bytes(rec.chunk, used))
	s.a.FreeChunk(rec.chunk, rec.class)
	rec.chunk = c
	rec.class++
}

// closeChunk moves the open chunk to the chunk files. It cannot fail: what does not reach a file yet waits
// in the store's buffer.
func (s *stripe) closeChunk(rec *record) {
	data := xor.Finish(s.a.Bytes(rec.chunk, arena.ClassSize(rec.class)), &rec.state)
	rec.link = s.chunks.add(s.root, chunkHead{
		ref: s.ref(rec.index), minT: firstTime(data), maxT: rec.state.T, prev: rec.link, encoding: rec.kind,
	}, data)
	s.a.FreeChunk(rec.chunk, rec.class)
	rec.chunk, rec.class = 0, 0
	rec.state.N = 0
	rec.flags &^= flagFirstChunk
}

package engine

import (
	"math"
	"slices"
	"unsafe"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/engine/xor"
	"github.com/rekindledb/rekindle/walio"
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
	s.room = chunkRoom(len(items), samples)
	if err := s.a.Ensure(s.room); err != nil {
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
			if known := &b.Series[item].Known; known.rec == 0 && rec != nil {
				known.rec = s.a.RefOf(unsafe.Pointer(rec))
			}
		}
		items = items[n:]
	}
	return nil
}

// chunkRoom is what the samples of some series can need of new chunk memory, in the worst case: no sample takes two new
// blocks, and no series more than a chunk has, since the next one begins with the blocks of the one before.
func chunkRoom(series, samples int) uint64 {
	return arena.RoomForBlocks(min(samples, series*xor.MaxBlocks(maxSamplesPerChunk)))
}

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
	s.encodeSample(rec, t, v)
	s.touchOpen(rec)
	r := s.root
	r.stored++
	r.minT, r.maxT = min(r.minT, t), max(r.maxT, t)
}

// runMax is how many samples putRun hands on at a time.
const runMax = 16

// putRun is put for samples of one series in order, their times offsets from base. It returns how many it stored: those
// behind the newest one, from floor on. The rest are stale, or were given up on purpose.
func (s *stripe) putRun(rec *record, base int64, samples []walio.RefSample, floor int64) (stored, stale int) {
	var (
		run    [runMax]xor.Sample
		n      int
		newest = rec.state.T
		first  = int64(math.MaxInt64)
	)
	for i := range samples {
		t := base + int64(samples[i].Offset)
		if t <= newest {
			stale++
			continue
		}
		if t < floor {
			continue
		}
		if stored++; stored == 1 {
			first = t
		}
		newest = t
		if n == runMax {
			s.encodeRun(rec, run[:])
			n = 0
		}
		run[n] = xor.Sample{T: t, V: samples[i].V}
		n++
	}
	if stored == 0 {
		return 0, stale
	}
	s.encodeRun(rec, run[:n])
	rec.lastSeen = uint32(newest / 1000)
	s.touchOpen(rec)
	r := s.root
	r.stored += uint64(stored)
	r.minT, r.maxT = min(r.minT, first), max(r.maxT, newest)
	return stored, stale
}

// encodeRun adds samples to the open chunk.
func (s *stripe) encodeRun(rec *record, run []xor.Sample) {
	for len(run) > 0 {
		if n := rec.room(run); n > 0 {
			if run = run[xor.AppendRun(s.block(rec.chunk), &rec.state, run[:n]):]; len(run) == 0 {
				return
			}
		}
		s.encodeSample(rec, run[0].T, run[0].V)
		run = run[1:]
	}
}

// encodeSample adds a sample to the open chunk, which it closes and begins as needed.
func (s *stripe) encodeSample(rec *record, t int64, v uint64) {
	if rec.state.N > 0 && rec.full(t) {
		s.closeChunk(rec)
	}
	if rec.chunk == 0 {
		rec.chunk = s.newBlock(0)
		xor.Start(&rec.state)
	}
	last := s.block(rec.chunk)
	if xor.Append(last, &rec.state, t, v) {
		return
	}
	r := s.newBlock(rec.chunk)
	if !xor.AppendAcross(last, s.block(r), &rec.state, t, v) {
		panic("engine: an open chunk of more samples than a chunk can have")
	}
	s.a.Touch(rec.chunk, arena.BlockSize)
	rec.chunk = r
}

// block is the block of an open chunk at r.
func (s *stripe) block(r arena.Ref) *xor.Block { return arena.At[xor.Block](s.a, r) }

// newBlock makes a block behind prev.
func (s *stripe) newBlock(prev arena.Ref) arena.Ref {
	r, err := s.a.AllocBlock()
	check(err)
	s.block(r).Prev = uint32(prev)
	return r
}

// touchOpen marks what adding samples changed: the record, and the block in which the open chunk ends. Those before it
// were marked when they became full.
func (s *stripe) touchOpen(rec *record) {
	s.a.Touch(rec.chunk, arena.BlockSize)
	s.a.TouchPtr(unsafe.Pointer(rec), recordSize)
}

// closeChunk moves the open chunk to the chunk files. It cannot fail: what does not reach a file yet waits
// in the store's buffer.
func (s *stripe) closeChunk(rec *record) {
	n := rec.state.Size()
	s.closing = slices.Grow(s.closing[:0], n)
	data := s.closing[:n]
	first := s.gather(data, rec)
	rec.link = s.chunks.add(s.root, chunkHead{
		ref: s.ref(rec.index), minT: firstTime(data), maxT: rec.state.T, prev: rec.link, encoding: rec.kind,
	}, data)
	s.a.Touch(rec.chunk, arena.BlockSize)
	s.a.FreeBlocks(rec.chunk, first)
	rec.chunk = 0
	rec.state.N = 0
	rec.flags &^= flagFirstChunk
}

// gather copies a series' open chunk to dst, of its size, as chunkenc has it. It returns the chunk's first block.
func (s *stripe) gather(dst []byte, rec *record) arena.Ref {
	r := rec.chunk
	for at := (rec.state.Blocks() - 1) * xor.BlockBytes; ; at -= xor.BlockBytes {
		b := s.block(r)
		copy(dst[at:], b.Data[:])
		if at == 0 {
			break
		}
		r = arena.Ref(b.Prev)
	}
	xor.Finish(dst, &rec.state)
	return r
}

// openFrom is the time of the first sample in a series' open chunk.
func (s *stripe) openFrom(rec *record) int64 {
	b := s.block(rec.chunk)
	for b.Prev != 0 {
		b = s.block(arena.Ref(b.Prev))
	}
	return firstTime(b.Data[:])
}

package engine

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/engine/xor"
)

// copier copies series out of stripes. Each worker of a request has one, which keeps the memory that goes on from
// series to series. The answer lies in blocks, not in an allocation for each label set, chunk and list.
type copier struct {
	mint, maxt int64
	part       Part
	// stepped is called after the series of each hold of the lock, if it is set. Their chunks are not needed any more
	// when it returns.
	stepped func() error

	// expected is how many series are still to come from this stripe and others, 0 if that is not known.
	expected int

	labels labelWriter
	data   []byte // block for chunks' bytes
	// How many bytes the chunks took so far.
	chunksTaken, bytesTaken int
	lists                   []Chunk // block for series' lists of chunks

	touched   uint32 // keeps loads alive
	copiedOut int    // series since it gave way

	found  []found
	copied []Chunk // of all found, in memory; newest first
	chunks []Chunk // of the one at hand, newest first
	uncut  []byte  // open chunks of which one sample is wanted

	next *copier // in copiers
}

// copiers are those that the workers of a request use. What they have in hand while they copy is kept for requests to
// come; what answers are made of is not.
type copiers struct {
	mu   sync.Mutex
	used *copier
}

var unusedCopiers = sync.Pool{New: func() any { return new(copier) }}

// take makes a copier, for one worker.
func (l *copiers) take(mint, maxt int64, part Part) *copier {
	c := unusedCopiers.Get().(*copier)
	c.mint, c.maxt, c.part = mint, maxt, part
	l.mu.Lock()
	defer l.mu.Unlock()
	c.next, l.used = l.used, c
	return c
}

// free takes back all that take made. Nobody may use them any more.
func (l *copiers) free() {
	for c := l.used; c != nil; {
		next := c.next
		// What is copied refers to the answer, and what the labels are compared with may be gone with its stripe.
		clear(c.copied[:cap(c.copied)])
		clear(c.chunks[:cap(c.chunks)])
		clear(c.found[:cap(c.found)])
		*c = copier{
			labels: labelWriter{pairs: c.labels.pairs[:0], ends: c.labels.ends[:0], spare: c.labels.spare[:0]},
			found:  c.found[:0], copied: c.copied[:0], chunks: c.chunks[:0], uncut: c.uncut[:0],
		}
		unusedCopiers.Put(c)
		c = next
	}
	l.used = nil
}

// found is what is learnt of a series under the lock; the rest is read without it.
type found struct {
	ref    uint64
	set    arena.Ref
	closed link
	before int64 // the samples of the chunk at closed are older than this
	lo, hi int   // its chunks in copied
	sure   bool  // it has samples in the range, whatever its chunks are
	cut    bool  // of its one chunk, which is in uncut, the last sample in the range is wanted
	err    error // of a closed chunk in memory
}

// selectSeries copies the series with these indexes into dst, of the same length, and returns the part that it has
// filled: series without a chunk in the range are left out.
func (c *copier) selectSeries(ctx context.Context, s *stripe, indexes []uint32, dst []Series) ([]Series, error) {
	out := dst[:0]
	err := c.each(ctx, s, indexes, func(f *found, more int, err error) error {
		if err != nil {
			return c.failed(s, f, err)
		}
		if len(c.chunks) == 0 && !f.sure {
			return nil
		}
		one := Series{Labels: c.labels.write(s, s.pairsOf(f.set), more)}
		if c.part != NoSamples {
			one.Chunks = c.list(more)
		}
		out = append(out, one)
		return nil
	})
	return out, err
}

// failed says which series cannot be read. An answer without it would be wrong, and nobody would know.
func (c *copier) failed(s *stripe, f *found, err error) error {
	return fmt.Errorf("engine: series %s cannot be read in this range: %w", c.labels.write(s, s.pairsOf(f.set), 0), err)
}

// each copies series, one after another, and calls visit for each when its chunks are in c.chunks, or those before the
// one that err is about. visit runs without the lock. more is how many may follow. What visit returns ends the walk.
func (c *copier) each(ctx context.Context, s *stripe, indexes []uint32, visit func(f *found, more int, err error) error) error {
	for len(indexes) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(lockStep, len(indexes))
		c.reserve(n, max(len(indexes), c.expected))
		c.expected = max(c.expected-n, 0)
		if c.copiedOut += n; c.copiedOut >= giveWayEvery {
			// While it holds no lock. Left alone a query would keep its core for 10 ms at a time, and be stopped with the
			// lock held as likely as not.
			runtime.Gosched()
			c.copiedOut = 0
		}
		c.copyOut(s, indexes[:n])
		c.touchLabels(s)
		indexes = indexes[n:]
		left := max(len(indexes), c.expected) + len(c.found)
		for i := range c.found {
			f := &c.found[i]
			c.chunks = append(c.chunks[:0], c.copied[f.lo:f.hi]...)
			err := f.err
			if err == nil {
				err = c.readClosed(s, f)
			}
			if f.cut && err == nil {
				err = c.cutToLast()
			}
			if err := visit(f, left-i-1, err); err != nil {
				return err
			}
		}
		if c.stepped != nil {
			if err := c.stepped(); err != nil {
				return err
			}
			c.data, c.lists = c.data[:0], c.lists[:0]
		}
	}
	return nil
}

// giveWayEvery is how many series a query copies before it lets others run: some hundred microseconds' work, since to give
// way costs a few when nobody waits.
const giveWayEvery = 1024

// chunkSizeGuess is the room set aside for a chunk as long as none was seen.
const chunkSizeGuess = 256

// reserve makes room for copies of n series, so that hardly anything is allocated under the lock. left is how many are
// still to come, those included.
func (c *copier) reserve(n, left int) {
	if cap(c.found) < n {
		c.found, c.copied = make([]found, 0, n), make([]Chunk, 0, n)
	}
	if c.part == NoSamples {
		return
	}
	guess := chunkSizeGuess
	if c.part == LastSample {
		guess = xor.HeaderBytes + xor.MaxSampleBytes
	}
	if c.chunksTaken > 0 {
		guess = c.bytesTaken/c.chunksTaken*5/4 + 1
	}
	if room := n * guess; cap(c.data)-len(c.data) < room {
		c.data = make([]byte, 0, max(room, min(left*guess, blockSizeMax)))
	}
}

// take cuts n bytes off the block for chunks. If it has not got them it makes them.
func (c *copier) take(n int) []byte {
	c.chunksTaken++
	c.bytesTaken += n
	at := len(c.data)
	if cap(c.data)-at < n {
		return make([]byte, 0, n)
	}
	c.data = c.data[:at+n]
	return c.data[at : at : at+n]
}

// list makes the list of the chunks at hand, the oldest first.
func (c *copier) list(more int) []Chunk {
	const listSizeMax = blockSizeMax / 64
	n := len(c.chunks)
	if cap(c.lists)-len(c.lists) < n {
		c.lists = make([]Chunk, 0, max(n, min(n*(more+1), listSizeMax)))
	}
	at := len(c.lists)
	slices.Reverse(c.chunks)
	c.lists = append(c.lists, c.chunks...)
	return c.lists[at:len(c.lists):len(c.lists)]
}

// copyOut copies what is in memory of series' chunks: the open one, and closed ones that have not reached a file.
// One hold of the lock.
//
// The way to a chunk leads through the index, the record and the label set, none in the cache. As in resolve each loop
// loads one level for a group of series, so that the misses overlap.
func (c *copier) copyOut(s *stripe, indexes []uint32) {
	c.found, c.copied, c.uncut = c.found[:0], c.copied[:0], c.uncut[:0]
	var (
		refs, blocks [group]arena.Ref
		warm         uint32
	)
	s.mu.Lock()
	defer s.mu.Unlock()
	for looked := 0; looked < len(indexes); looked += group {
		items := indexes[looked:min(looked+group, len(indexes))]
		for i, index := range items {
			refs[i] = s.root.index.Get(s.a, index)
		}
		for i := range items {
			if refs[i] != 0 {
				warm += uint32(arena.At[record](s.a, refs[i]).labels)
			}
		}
		for i := range items {
			blocks[i] = 0
			if refs[i] == 0 {
				continue
			}
			rec := arena.At[record](s.a, refs[i])
			warm += *arena.At[uint32](s.a, rec.labels)
			if c.part == AllSamples || rec.state.T > c.maxt {
				blocks[i] = rec.chunk
			}
		}
		for more := true; more; { // a block of each at a time, backwards
			more = false
			for i, r := range blocks[:len(items)] {
				if r != 0 {
					blocks[i] = arena.Ref(s.block(r).Prev)
					more = true
				}
			}
		}
		for i, index := range items {
			if refs[i] != 0 {
				c.copySeries(s, index, arena.At[record](s.a, refs[i]))
			}
		}
	}
	s.warm = warm
}

// touchLabels loads the pairs that found series have and those before them have not, all at once, since the loads of
// one label set after another would wait for each other.
func (c *copier) touchLabels(s *stripe) {
	var before []uint32
	for i := range c.found {
		pairs := s.pairsOf(c.found[i].set)
		for k, p := range pairs {
			if k >= len(before) || before[k] != p {
				c.touched += arena.At[pair](s.a, refOf(p)).size
			}
		}
		before = pairs
	}
}

// copySeries is copyOut for one series.
func (c *copier) copySeries(s *stripe, index uint32, rec *record) {
	if rec.state.T < c.mint {
		return // the newest sample is older than what is asked for
	}
	f := found{ref: s.ref(index), set: rec.labels, closed: rec.link, before: math.MaxInt64, lo: len(c.copied)}
	if (c.part == NoSamples || c.part == LastSample && rec.kind == kindXOR) && rec.state.T <= c.maxt {
		// The newest sample is in the range, and the record has it.
		if f.closed = 0; c.part == LastSample {
			c.copied = append(c.copied, c.oneSample(rec.state.T, rec.state.V))
		}
		f.sure, f.hi = true, len(c.copied)
		c.found = append(c.found, f)
		return
	}
	if rec.state.N > 0 {
		first := s.openFrom(rec)
		f.before = first
		if c.part == NoSamples && first <= c.maxt {
			f.sure, f.closed = true, 0
		} else if first <= c.maxt {
			n := rec.state.Size()
			var data []byte
			if f.cut = c.part == LastSample && rec.kind == kindXOR; f.cut {
				// If it grows, the chunks before keep the array that they are in.
				at := len(c.uncut)
				c.uncut = slices.Grow(c.uncut, n)[:at+n]
				data, f.closed = c.uncut[at:], 0
			} else {
				data = c.take(n)[:n]
			}
			s.gather(data, rec)
			c.copied = append(c.copied, Chunk{MinT: first, MaxT: rec.state.T, Enc: chunkenc.Encoding(rec.kind), Data: data})
		}
		if first <= c.mint {
			f.closed = 0
		}
	}
	c.chunks = c.chunks[:0]
	f.err = c.copyBuffered(s, &f)
	c.copied = append(c.copied, c.chunks...)
	f.hi = len(c.copied)
	c.found = append(c.found, f)
}

// cutToLast makes the chunk at hand, which begins before the range ends and ends after it, one of its last sample until
// then. Without the lock: it is decoded. A query of a moment ago finds most series so, while samples come in.
func (c *copier) cutToLast() error {
	var (
		it     xor.Iterator
		times  [32]int64
		values [32]float64
		last   float64
		at     = int64(math.MinInt64)
	)
	it.Reset(c.chunks[0].Data)
	for n := len(times); n == len(times); {
		n = it.Read(times[:], values[:])
		for n > 0 && times[n-1] > c.maxt {
			n--
		}
		if n > 0 {
			at, last = times[n-1], values[n-1]
		}
	}
	c.chunks[0] = c.oneSample(at, math.Float64bits(last))
	return it.Err()
}

// oneSample is a chunk of one sample.
func (c *copier) oneSample(t int64, v uint64) Chunk {
	var (
		b xor.Block
		s xor.State
	)
	xor.Start(&s)
	xor.Append(&b, &s, t, v)
	data := append(c.take(s.Size()), b.Data[:s.Size()]...)
	return Chunk{MinT: t, MaxT: t, Enc: chunkenc.EncXOR, Data: xor.Finish(data, &s)}
}

// add takes the chunk at f.closed and goes on to the one before it, unless that one is too old. Each is older than
// the one that links to it: what is not is damaged, and might lead back to where we come from.
func (c *copier) add(f *found, h chunkHead, data []byte) error {
	if h.minT > h.maxT || h.maxT >= f.before {
		return fmt.Errorf("chunk says that it has samples from %d to %d, but must end before %d", h.minT, h.maxT, f.before)
	}
	f.before = h.minT
	if h.maxT >= c.mint && h.minT <= c.maxt {
		c.chunks = append(c.chunks, Chunk{MinT: h.minT, MaxT: h.maxT, Enc: chunkenc.Encoding(h.encoding), Data: data})
	}
	f.closed = h.prev
	if h.minT <= c.mint {
		f.closed = 0
	}
	return nil
}

// copyBuffered copies closed chunks down to the first one that has reached a file. Under the lock. The buffer is ours,
// but what leads there may be a chunk of a damaged file.
func (c *copier) copyBuffered(s *stripe, f *found) error {
	for f.closed != 0 {
		raw := s.chunks.inMemory(f.closed)
		if raw == nil {
			return nil
		}
		h, data, err := parseChunk(raw)
		if err == nil {
			err = h.isOf(f.ref)
		}
		if err == nil {
			err = c.add(f, h, append(c.take(len(data)), data...))
		}
		if err != nil {
			return s.chunks.at(f.closed, err)
		}
	}
	return nil
}

// readClosed reads what has reached the chunk files. Below a chunk that has there may be one that has not: it
// is of another range, and its file is written later, or cannot be written.
func (c *copier) readClosed(s *stripe, f *found) error {
	for f.closed != 0 {
		if top := f.closed; !s.chunks.written(top) {
			s.mu.Lock()
			err := c.copyBuffered(s, f)
			s.mu.Unlock()
			if err != nil {
				return err
			}
			if f.closed != top {
				continue
			}
			// It has reached its file since.
		}
		room := c.data[len(c.data):]
		h, data, err := s.chunks.read(f.closed, f.ref, room)
		if err != nil {
			return err
		}
		if len(data) <= cap(room) { // it went there
			c.data = c.data[:len(c.data)+len(data)]
		}
		data = slices.Clip(data)
		if err := c.add(f, h, data); err != nil {
			return s.chunks.at(f.closed, err)
		}
	}
	return nil
}

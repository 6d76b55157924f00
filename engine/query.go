package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/engine/xor"
)

// Select returns the series that satisfy all matchers and have a chunk that overlaps [mint, maxt], with those
// chunks, in no order. It is a copy.
func (t *Tenant) Select(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) ([]Series, error) {
	if err := t.enter(); err != nil {
		return nil, err
	}
	defer t.leave()
	per := make([][]Series, len(t.stripes))
	err := t.eachStripe(ctx, func(i int, s *stripe) (err error) {
		per[i], err = s.selectSeries(ctx, t.e.matchers, max(mint, t.floor.Load()), maxt, ms)
		return err
	})
	if err != nil {
		return nil, err
	}
	return slices.Concat(per...), nil
}

// LabelValues returns the values of a label, sorted, at most limit (0 = all), among the series that satisfy
// the matchers.
func (t *Tenant) LabelValues(ctx context.Context, name string, mint, maxt int64, limit int, ms ...*labels.Matcher) ([]string, error) {
	return t.collect(ctx, mint, maxt, limit, func(s *stripe, add func([]byte)) {
		if len(ms) == 0 {
			for _, p := range s.pairsOfName(name, 0) {
				_, v, _ := splitPair(s.pairBytes(refOf(p)))
				add(v)
			}
			return
		}
		s.eachPair(t.e.matchers, ms, func(p uint32) {
			if n, v, _ := splitPair(s.pairBytes(refOf(p))); string(n) == name {
				add(v)
			}
		})
	})
}

// LabelNames returns the label names, sorted, at most limit (0 = all), of the series that satisfy the matchers.
func (t *Tenant) LabelNames(ctx context.Context, mint, maxt int64, limit int, ms ...*labels.Matcher) ([]string, error) {
	return t.collect(ctx, mint, maxt, limit, func(s *stripe, add func([]byte)) {
		if len(ms) == 0 {
			for _, n := range s.allNames() {
				add(s.nameBytes(refOf(n)))
			}
			return
		}
		s.eachPair(t.e.matchers, ms, func(p uint32) {
			n, _, _ := splitPair(s.pairBytes(refOf(p)))
			add(n)
		})
	})
}

// collect gathers distinct strings from all stripes. Like Prometheus's head it looks at the time range of the
// whole tenant only.
func (t *Tenant) collect(ctx context.Context, mint, maxt int64, limit int, from func(s *stripe, add func([]byte))) ([]string, error) {
	if err := t.enter(); err != nil {
		return nil, err
	}
	defer t.leave()
	if lo, hi := t.timeRange(); maxt < lo || mint > hi {
		return nil, nil
	}
	var mu sync.Mutex
	found := map[string]struct{}{}
	err := t.eachStripe(ctx, func(_ int, s *stripe) error {
		own := map[string]struct{}{}
		from(s, func(b []byte) {
			if _, ok := own[string(b)]; !ok {
				own[string(b)] = struct{}{}
			}
		})
		mu.Lock()
		defer mu.Unlock()
		for v := range own {
			found[v] = struct{}{}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(found))
	for v := range found {
		out = append(out, v)
	}
	slices.Sort(out)
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, nil
}

// eachStripe calls f for every stripe that has series, several at a time, and stops at the first error.
func (t *Tenant) eachStripe(ctx context.Context, f func(i int, s *stripe) error) error {
	var (
		next  atomic.Int32
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	work := func() {
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= len(t.stripes) {
				return
			}
			if err := f(i, &t.stripes[i]); err != nil {
				mu.Lock()
				first = errors.Join(first, err)
				mu.Unlock()
				next.Store(int32(len(t.stripes)))
				return
			}
		}
	}
	for range min(runtime.GOMAXPROCS(0), len(t.stripes)) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	return errors.Join(ctx.Err(), first)
}

// found is what is learnt of a series under the lock; the rest is read without it.
type found struct {
	ref    uint64
	pairs  []uint32
	closed link
	before int64   // the samples of the chunk at closed are older than this
	chunks []Chunk // newest first
}

func (s *stripe) selectSeries(ctx context.Context, c *matchCache, mint, maxt int64, ms []*labels.Matcher) ([]Series, error) {
	indexes := s.matches(c, ms)
	if len(indexes) == 0 {
		return nil, nil
	}
	out := make([]Series, 0, len(indexes))
	var b labels.ScratchBuilder
	batch := make([]found, 0, min(lockStep, len(indexes)))
	for len(indexes) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(lockStep, len(indexes))
		var err error
		if batch, err = s.copyOut(batch[:0], indexes[:n], mint, maxt); err != nil {
			return nil, err
		}
		for i := range batch {
			f := &batch[i]
			if err := s.readClosed(f, mint, maxt); err != nil {
				return nil, err
			}
			if len(f.chunks) == 0 {
				continue
			}
			slices.Reverse(f.chunks)
			out = append(out, Series{Labels: s.setLabels(&b, f.pairs), Chunks: f.chunks})
		}
		indexes = indexes[n:]
	}
	return out, nil
}

// copyOut copies what is in memory of the series' chunks: the open one, and closed ones that have not
// reached a file. One hold of the lock.
func (s *stripe) copyOut(dst []found, indexes []uint32, mint, maxt int64) ([]found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range indexes {
		r := s.root.index.Get(s.a, i)
		if r == 0 {
			continue
		}
		rec := arena.At[record](s.a, r)
		if rec.state.T < mint {
			continue // the newest sample is older than what is asked for
		}
		f := found{ref: s.ref(i), pairs: s.pairsOf(rec.labels), closed: rec.link, before: math.MaxInt64}
		if rec.state.N > 0 {
			raw := s.a.Bytes(rec.chunk, arena.ClassSize(rec.class))
			first := firstTime(raw)
			f.before = first
			if first <= maxt {
				f.chunks = append(f.chunks, Chunk{
					MinT: first, MaxT: rec.state.T, Enc: chunkenc.Encoding(rec.kind),
					Data: xor.FinishTo(make([]byte, 0, rec.state.Size()), raw, &rec.state),
				})
			}
		}
		if err := s.copyBuffered(&f, mint, maxt); err != nil {
			return nil, err
		}
		dst = append(dst, f)
	}
	return dst, nil
}

// add takes the chunk at f.closed and goes on to the one before it, unless that one is too old. Each is older than
// the one that links to it: what is not is damaged, and might lead back to where we come from.
func (f *found) add(h chunkHead, data []byte, mint, maxt int64) error {
	if h.minT > h.maxT || h.maxT >= f.before {
		return fmt.Errorf("chunk says that it has samples from %d to %d, but must end before %d", h.minT, h.maxT, f.before)
	}
	f.before = h.minT
	if h.maxT >= mint && h.minT <= maxt {
		f.chunks = append(f.chunks, Chunk{MinT: h.minT, MaxT: h.maxT, Enc: chunkenc.Encoding(h.encoding), Data: data})
	}
	f.closed = h.prev
	if h.minT <= mint {
		f.closed = 0
	}
	return nil
}

// copyBuffered copies closed chunks down to the first one that has reached a file. Under the lock. The buffer is ours,
// but what leads there may be a chunk of a damaged file.
func (s *stripe) copyBuffered(f *found, mint, maxt int64) error {
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
			err = f.add(h, append([]byte(nil), data...), mint, maxt)
		}
		if err != nil {
			return s.chunks.at(f.closed, err)
		}
	}
	return nil
}

// readClosed reads what has reached the chunk files. Below a chunk that has there may be one that has not: it
// is of another range, and its file is written later, or cannot be written.
func (s *stripe) readClosed(f *found, mint, maxt int64) error {
	for f.closed != 0 {
		if top := f.closed; !s.chunks.written(top) {
			s.mu.Lock()
			err := s.copyBuffered(f, mint, maxt)
			s.mu.Unlock()
			if err != nil {
				return err
			}
			if f.closed != top {
				continue
			}
			// It has reached its file since.
		}
		h, data, err := s.chunks.read(f.closed, f.ref, nil)
		if err != nil {
			return err
		}
		if err := f.add(h, data, mint, maxt); err != nil {
			return s.chunks.at(f.closed, err)
		}
	}
	return nil
}

// eachPair calls f for the pairs of the series that satisfy the matchers, each at least once.
func (s *stripe) eachPair(c *matchCache, ms []*labels.Matcher, f func(pair uint32)) {
	indexes := s.matches(c, ms)
	seen := map[uint32]struct{}{}
	var sets [][]uint32
	for len(indexes) > 0 {
		n := min(lockStep, len(indexes))
		sets = sets[:0]
		s.mu.Lock()
		for _, i := range indexes[:n] {
			if r := s.root.index.Get(s.a, i); r != 0 {
				sets = append(sets, s.pairsOf(arena.At[record](s.a, r).labels))
			}
		}
		s.mu.Unlock()
		indexes = indexes[n:]
		for _, pairs := range sets {
			for _, p := range pairs {
				if _, ok := seen[p]; !ok {
					seen[p] = struct{}{}
					f(p)
				}
			}
		}
	}
}

// allNames returns the label names of the stripe.
func (s *stripe) allNames() []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		return nil
	}
	var out []uint32
	for _, v := range s.root.names.Slots(s.a) {
		if uint32(v) != 0 {
			out = append(out, uint32(v))
		}
	}
	return out
}

package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/walio"
)

// replayer applies the log's tail to the stripes. It judges nothing: what is in the log was accepted once,
// and is applied to each stripe exactly from the commit behind its image.
type replayer struct {
	t *Tenant

	series, samples atomic.Int64
	// Entries that contradict what is there. After damage that is reported elsewhere; otherwise a fault here.
	unknown, misplaced, stale atomic.Int64

	orders sync.Pool // of *order
}

const (
	// replayStep is how many samples are added at a time, before chunks that were closed are looked after.
	replayStep = 32 << 10
	// replayBuffered is the most of closed chunks that a stripe keeps from one step to the next: what all stripes keep,
	// twice over for their other buffers and twice again for the collector, is part of the memory that a start takes.
	replayBuffered = 256 << 10
)

// Apply implements walio.Handler.
func (p *replayer) Apply(stripe int, w []walio.StripeWindow) error {
	p.t.e.cfg.crash("replay")
	if err := p.apply(&p.t.stripes[stripe], w); err != nil {
		return fmt.Errorf("engine: replay stripe %d of tenant %s: %w", stripe, p.t.id, err)
	}
	return nil
}

// apply makes the series first and adds the samples then: nothing between two samples can change what the second one
// means.
func (p *replayer) apply(s *stripe, w []walio.StripeWindow) error {
	err := p.change(s, func() error { return p.defineAll(s, w) })
	if err != nil {
		return err
	}
	return p.putAll(s, w)
}

// change changes a stripe.
func (p *replayer) change(s *stripe, do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	s.replayed = true
	defer s.guard()
	s.begin()
	err := do()
	s.end() // not deferred: a panic must find the stripe in the middle of a change
	return err
}

func (p *replayer) defineAll(s *stripe, windows []walio.StripeWindow) error {
	for _, w := range windows {
		for _, r := range w.Runs {
			var err error
			switch r.Kind {
			case walio.RunSeries:
				err = p.define(s, w.Series[r.Lo:r.Hi])
			case walio.RunSamples:
			default:
				err = fmt.Errorf("a record of type %d, which this version does not know", r.Record[0])
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *replayer) putAll(s *stripe, windows []walio.StripeWindow) error {
	o, _ := p.orders.Get().(*order)
	if o == nil {
		o = &order{}
	}
	defer p.orders.Put(o)
	for c := (cursor{windows: windows}); o.load(&c, s.root.next); {
		for rest := o.samples; len(rest) > 0; {
			n := min(len(rest), replayStep)
			if err := p.change(s, func() error { return p.put(s, o.base, rest[:n]) }); err != nil {
				return err
			}
			rest = rest[n:]
			// A disk without room is no reason to fail here: what cannot be written stays in memory.
			if s.chunks.buffered.Load() > replayBuffered {
				_ = s.chunks.flush(&s.mu)
			}
		}
	}
	return nil
}

// define makes series that the log or its checkpoint names. An index that is free but below the next one is
// refused: the lists of series ascend and are appended to only. It comes up after double damage, when the images
// are lost, the checkpoint's name of a series is too, and the log behind it has another.
func (p *replayer) define(s *stripe, defs []walio.SeriesDef) error {
	var hashes [group]uint64
	for len(defs) > 0 {
		n := min(group, len(defs))
		// As in resolve: the slots are on their way together.
		for i := range defs[:n] {
			hashes[i] = xxhash.Sum64(defs[i].Key)
			s.warm += uint32(s.root.series.Slot(s.a, tagOf(hashes[i])))
		}
		for i := range defs[:n] {
			if err := p.defineOne(s, &defs[i], hashes[i]); err != nil {
				return err
			}
		}
		defs = defs[n:]
	}
	return nil
}

func (p *replayer) defineOne(s *stripe, def *walio.SeriesDef, hash uint64) error {
	index := def.Ref >> s.log
	switch {
	case index < maxIndex && s.root.index.Get(s.a, uint32(index)) != 0:
		return nil // in the checkpoint as well as in the log
	case index < uint64(s.root.next) || index >= maxIndex,
		hash&(1<<s.log-1) != uint64(s.id) || s.find(def.Key, hash) != 0:
		p.misplaced.Add(1)
		return nil
	}
	_, err := s.create(def.Key, hash, uint32(index))
	if errors.Is(err, errNotCanonical) {
		p.misplaced.Add(1)
		return nil
	}
	if err != nil {
		return err
	}
	p.series.Add(1)
	s.tail.Add(1) // a stripe with nothing but names is not empty
	return nil
}

// put adds ordered samples, their times offsets from base, a group of series at a time. While a group is added, the ends
// of the next one's open chunks are on their way from memory: fetched when they are needed, they would be most of what
// replay costs.
func (p *replayer) put(s *stripe, base int64, samples []walio.RefSample) error {
	floor := p.t.floor.Load()
	var (
		groups                 [2]replayGroup
		stored, unknown, stale int
	)
	rest := groups[0].gather(s, samples)
	for k := 0; groups[k].n > 0; {
		g, next := &groups[k], &groups[1-k]
		if err := s.a.Ensure(chunkRoom(g.n, len(g.samples))); errors.Is(err, arena.ErrFull) && len(g.samples) > 1 {
			// What requests stored in small portions must fit again: one sample at a time.
			rest = g.samples[1 : len(g.samples)+len(rest)]
			g.samples, g.ends[0], g.n = g.samples[:1], 1, 1
			continue
		} else if err != nil {
			return err
		}
		rest = next.gather(s, rest)
		from := 0
		for i, rec := range g.recs[:g.n] {
			run := g.samples[from:g.ends[i]]
			from = g.ends[i]
			if rec == nil {
				unknown += len(run)
				continue
			}
			a, b := s.putRun(rec, base, run, floor)
			stored, stale = stored+a, stale+b
		}
		k = 1 - k
	}
	p.unknown.Add(int64(unknown))
	p.stale.Add(int64(stale))
	p.samples.Add(int64(stored))
	s.tail.Add(int64(stored))
	return nil
}

// replayGroup is some series and samples of theirs.
type replayGroup struct {
	samples []walio.RefSample
	n       int // series; the samples of one follow each other
	recs    [group]*record
	ends    [group]int // in samples
}

// gather takes the first of the samples, asks for the memory that they will need, and returns the others, which
// follow in the same array.
func (g *replayGroup) gather(s *stripe, samples []walio.RefSample) (rest []walio.RefSample) {
	var tails [group]arena.Ref
	n, end := 0, 0
	for ; n < group && end < len(samples); n++ {
		index := samples[end].Index
		for end++; end < len(samples) && samples[end].Index == index; end++ {
		}
		g.recs[n], g.ends[n], tails[n] = nil, end, 0
		if r := s.root.index.Get(s.a, index); r != 0 {
			g.recs[n] = arena.At[record](s.a, r)
			tails[n] = g.recs[n].tail()
		}
	}
	s.a.Prefetch(tails[:n])
	g.samples, g.n = samples[:end], n
	return samples[end:]
}

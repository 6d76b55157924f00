package engine

import (
	"errors"
	"fmt"
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
}

// applyStep is how many samples have their chunk memory set aside at a time; fewer where the arena is nearly
// full, because what requests stored in smaller portions must fit again.
const applyStep = 4096

// Apply implements walio.Handler.
func (p *replayer) Apply(stripe int, w *walio.StripeWindow) error {
	p.t.e.cfg.crash("replay")
	s := &p.t.stripes[stripe]
	if err := p.apply(s, w); err != nil {
		return fmt.Errorf("engine: replay stripe %d of tenant %s: %w", stripe, p.t.id, err)
	}
	// A disk without room is no reason to fail here: what cannot be written stays in memory.
	if s.chunks.buffered.Load() > 1<<20 {
		_ = s.chunks.flush(&s.mu)
	}
	return nil
}

func (p *replayer) apply(s *stripe, w *walio.StripeWindow) error {
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
	err := p.applyRuns(s, w)
	s.end() // not deferred: a panic must find the stripe in the middle of a change
	return err
}

func (p *replayer) applyRuns(s *stripe, w *walio.StripeWindow) error {
	for i := range w.Runs {
		r := &w.Runs[i]
		var err error
		switch r.Kind {
		case walio.RunSeries:
			err = p.define(s, w.Series[r.Lo:r.Hi])
		case walio.RunSamples:
			err = p.put(s, w.Samples[r.Lo:r.Hi])
		default:
			err = fmt.Errorf("a record of type %d, which this version does not know", r.Record[0])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// define makes series that the log or its checkpoint names. An index that is free but below the next one is
// refused: the lists of series ascend and are appended to only. It comes up after double damage, when the images
// are lost, the checkpoint's name of a series is too, and the log behind it has another.
func (p *replayer) define(s *stripe, defs []walio.SeriesDef) error {
	for i := range defs {
		index, hash := defs[i].Ref>>s.log, xxhash.Sum64(defs[i].Key)
		switch {
		case index < maxIndex && s.root.index.Get(s.a, uint32(index)) != 0:
			continue // in the checkpoint as well as in the log
		case index < uint64(s.root.next) || index >= maxIndex,
			hash&(1<<s.log-1) != uint64(s.id) || !validKey(defs[i].Key) || s.find(defs[i].Key, hash) != 0:
			p.misplaced.Add(1)
			continue
		}
		if _, err := s.create(defs[i].Key, hash, uint32(index)); err != nil {
			return err
		}
		p.series.Add(1)
		s.tail.Add(1) // a stripe with nothing but names is not empty
	}
	return nil
}

func (p *replayer) put(s *stripe, samples []walio.RefSample) error {
	floor := p.t.floor.Load()
	stored, step := 0, applyStep
	for len(samples) > 0 {
		n := min(step, len(samples))
		if err := s.a.Ensure(chunkRoom(n, n)); errors.Is(err, arena.ErrFull) && n > 1 {
			step = n / 2
			continue
		} else if err != nil {
			return err
		}
		for i := range samples[:n] {
			x := &samples[i]
			r := s.root.index.Get(s.a, x.Index)
			if r == 0 {
				p.unknown.Add(1)
				continue
			}
			rec := s.record(x.Index)
			switch {
			case x.T <= rec.state.T:
				p.stale.Add(1)
			case x.T >= floor:
				s.put(rec, x.T, x.V)
				rec.lastSeen = uint32(x.T / 1000)
				stored++
			}
		}
		samples = samples[n:]
	}
	p.samples.Add(int64(stored))
	s.tail.Add(int64(stored))
	return nil
}

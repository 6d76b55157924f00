package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"github.com/rekindledb/rekindle/rpc/ring"
)

// publish brings the ring's entry to what it shall be; if nothing changed it is a heartbeat. Called with the publishing
// token.
func (l *Lifecycler) publish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	p, err := l.offer(ctx)
	switch {
	case err == nil && p.ring == nil:
		err = errors.New("the store returned nothing")
	case err != nil && errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err() // told to stop, or somebody else wants to publish
	}
	return l.published(p, err)
}

// offer is one call of the store, and over when ctx is: Consul's client goes through its retries and the pauses between them
// first, ten seconds in which nothing else could be published. What is left of the call then changes nothing.
func (l *Lifecycler) offer(ctx context.Context) (proposal, error) {
	type outcome struct {
		proposal
		err error
	}
	over := make(chan outcome, 1)
	go func() {
		var o outcome
		o.err = l.cfg.KV.CAS(ctx, ring.Key, func(in any) (any, bool, error) {
			if ctx.Err() != nil {
				return nil, false, ctx.Err()
			}
			l.mu.Lock()
			o.proposal = proposal{self: l.mu.self, ring: ring.Of(in)}
			l.mu.Unlock()
			if err := o.make(&l.cfg); err != nil || !o.write {
				return nil, false, err
			}
			return o.ring, true, nil
		})
		over <- o
	}()
	select {
	case o := <-over:
		return o.proposal, o.err
	case <-ctx.Done():
		return proposal{}, ctx.Err()
	}
}

// proposal is what one attempt to publish came to. The store may refuse it, and another is made of what is there then.
type proposal struct {
	self
	ring  *ring.Desc
	write bool   // the ring differs from what the store has
	rival string // address under which another process writes this entry
}

// make puts the entry into the ring.
func (p *proposal) make(cfg *Config) error {
	old, there := p.ring.Instances[p.id]
	switch {
	case p.met && there && old.Addr != cfg.Addr:
		p.rival = old.Addr
	case !p.met && there:
		p.meet(&old)
	}
	p.met = true
	m, now := &p.memory, cfg.Now()
	if !p.listed {
		if there {
			delete(p.ring.Instances, p.id)
			m.Timestamp = max(m.Timestamp, now.Unix()) // of the tombstone
			p.write = true
		}
		return nil
	}
	if p.claim != "" {
		if err := p.takeTokens(now); err != nil {
			return err
		}
	}
	tokens := m.Tokens
	switch {
	case p.state == ring.Leaving:
		tokens = old.Tokens // somebody may have claimed them
	case len(tokens) > 0:
		tokens = p.ring.Fit(p.ring.Undisputed(p.id, tokens, !there), len(tokens))
		m.Tokens = tokens
	}
	if m.Registered <= 0 {
		m.Registered = now.Unix()
	}
	entry := ring.Instance{
		Addr: cfg.Addr, Zone: cfg.Zone, State: p.state, Tokens: tokens, Timestamp: m.Timestamp, Registered: m.Registered,
		ID: old.ID, ReadOnly: m.Mode == ring.ReadOnly, ReadOnlyUpdated: m.ModeSet,
	}
	if cfg.ReadOnlyFlag && entry.State == ring.ReadOnly {
		entry.State = ring.Active
	}
	entry, p.write = p.ring.Put(p.id, entry, now)
	m.Timestamp = entry.Timestamp
	return nil
}

// meet takes over what the ring knows of this instance, when it is seen for the first time.
func (p *proposal) meet(old *ring.Instance) {
	p.listed = true
	m := &p.memory
	if old.Registered > 0 {
		m.Registered = old.Registered
	}
	if len(old.Tokens) > 0 {
		m.Tokens = old.Tokens
	}
	readOnly := old.State == ring.ReadOnly || old.ReadOnly
	if m.Timestamp == 0 && readOnly { // no file, or not one that was kept up to date by this program
		m.Mode, m.ModeSet = ring.ReadOnly, old.ReadOnlyUpdated
	}
	killed := old.State == ring.Active || old.State == ring.ReadOnly
	if p.state == ring.Pending && killed && len(old.Tokens) > 0 {
		p.state = m.Mode
	}
}

// published keeps what was agreed on with the store.
func (l *Lifecycler) published(p proposal, err error) error {
	l.mu.Lock()
	before := l.mu.dirty
	l.mu.dirty = err != nil
	if err == nil {
		l.mu.ring = p.ring
	}
	l.mu.self.claim = "" // who asked for it is told, and no heartbeat tries again
	l.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("lifecycle: write instance %s into the ring: %w", l.ID(), err)
		if !before {
			l.cfg.Logger.Warn("the ring cannot be written; this instance goes on as it is and tries again", "state", l.State().String(), "err", err)
		}
		return err
	}
	if before {
		l.cfg.Logger.Info("the ring is written again", "state", p.state.String())
	}
	if p.rival != "" {
		l.cfg.Logger.Error("another process is in the ring under this id: give each its own (-ingester.lifecycler.ID)", "instance", p.id, "here", l.cfg.Addr, "there", p.rival)
	}
	if p.write {
		l.heartbeats.Add(1)
	}
	return l.become(p.self)
}

package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/rekindledb/rekindle/rpc/ring"
)

// State is this instance's state.
func (l *Lifecycler) State() ring.State { return ring.State(l.state.Load()) }

// Accepting says why pushes are refused; nil if they are not.
func (l *Lifecycler) Accepting() error {
	s := l.State()
	if (s == ring.Active || s == ring.ReadOnly) && !l.leaving.Load() {
		return nil
	}
	if l.leaving.Load() {
		s = ring.Leaving
	}
	return fmt.Errorf("ingester %s is %s and takes no writes: send them to another", l.ID(), s)
}

// Ready says why this instance is not a member that others can rely on; nil if it is.
func (l *Lifecycler) Ready() error {
	if l.leaving.Load() {
		return fmt.Errorf("ingester not ready: %s", ring.Leaving)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, now := &l.mu.self, l.cfg.Now()
	switch {
	case l.mu.joined.IsZero() && l.mu.dirty:
		return fmt.Errorf("ingester not ready: %s in the ring, which cannot be reached", s.state)
	case l.mu.joined.IsZero():
		return fmt.Errorf("ingester not ready: %s in the ring", s.state)
	}
	if left := l.cfg.MinReady - now.Sub(l.mu.joined); left > 0 {
		return fmt.Errorf("ingester not ready: waiting for %v after being a member (-ingester.min-ready-duration)", left.Round(1e6))
	}
	if !l.cfg.CheckRingHealth {
		return nil
	}
	for id, in := range l.mu.ring.Instances {
		switch {
		case id == s.id:
		case !in.Healthy(now, l.cfg.HeartbeatTimeout):
			return fmt.Errorf("ingester not ready: instance %s in the ring is past its heartbeat timeout", id)
		case in.State != ring.Active && in.State != ring.ReadOnly:
			return fmt.Errorf("ingester not ready: instance %s in the ring is %s", id, in.State)
		}
	}
	return nil
}

// Ring returns the ring as this instance last saw it, at most a heartbeat period old. It must not be written to.
func (l *Lifecycler) Ring() *ring.Desc {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.ring
}

// Look asks the store for the ring.
func (l *Lifecycler) Look(ctx context.Context) (*ring.Desc, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	v, err := l.cfg.KV.Get(ctx, ring.Key)
	if err != nil {
		return nil, fmt.Errorf("lifecycle: read the ring: %w", err)
	}
	return ring.Of(v), nil
}

// Forget takes another instance out of the ring, which an operator knows to be gone for good.
func (l *Lifecycler) Forget(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := l.cfg.KV.CAS(ctx, ring.Key, func(in any) (any, bool, error) {
		d := ring.Of(in)
		if _, there := d.Instances[id]; !there {
			return nil, false, nil
		}
		delete(d.Instances, id)
		return d, true, nil
	})
	if err != nil {
		return fmt.Errorf("lifecycle: take instance %s out of the ring: %w", id, err)
	}
	return nil
}

// Numbers are what metrics show of this instance.
type Numbers struct {
	Tokens, TokensToOwn int
	Heartbeats          uint64
	ReadOnly            bool
}

// Numbers returns them.
func (l *Lifecycler) Numbers() Numbers {
	s := l.now()
	return Numbers{
		Tokens: len(s.memory.Tokens), TokensToOwn: l.cfg.NumTokens, Heartbeats: l.heartbeats.Load(),
		ReadOnly: s.memory.Mode == ring.ReadOnly,
	}
}

// ID is the key of this instance's entry, empty before Start.
func (l *Lifecycler) ID() string { return l.now().id }

// HeartbeatTimeout is the age of a heartbeat from which on an instance counts as unhealthy.
func (l *Lifecycler) HeartbeatTimeout() time.Duration { return l.cfg.HeartbeatTimeout }

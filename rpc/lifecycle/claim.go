package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rekindledb/rekindle/rpc/ring"
)

// Receiving makes a PENDING instance JOINING while another's data comes in. It waits no longer for join-after then: either
// Claim makes it ACTIVE, or GiveUp PENDING again, and new tokens are made.
func (l *Lifecycler) Receiving(ctx context.Context) error {
	return l.update(ctx, func(s *self) error {
		if s.state != ring.Pending || len(s.memory.Tokens) > 0 || l.leaving.Load() {
			return fmt.Errorf("lifecycle: this instance is %s with %d tokens; only one that is %s and has none takes another's", s.state, len(s.memory.Tokens), ring.Pending)
		}
		s.state, s.receiving = ring.Joining, true
		return nil
	})
}

// IsLeaving returns nil if the ring says that an instance is LEAVING. One that is not must not lose its tokens.
func (l *Lifecycler) IsLeaving(ctx context.Context, id string) error {
	d, err := l.Look(ctx)
	if err != nil {
		return err
	}
	return isLeaving(d, id)
}

func isLeaving(d *ring.Desc, id string) error {
	in, there := d.Instances[id]
	switch {
	case !there:
		return fmt.Errorf("lifecycle: instance %q is not in the ring", id)
	case in.State != ring.Leaving:
		return fmt.Errorf("lifecycle: instance %q is %s in the ring, not %s", id, in.State, ring.Leaving)
	case len(in.Tokens) == 0:
		return fmt.Errorf("lifecycle: instance %q has no tokens", id)
	}
	return nil
}

// Claim ends Receiving well: all tokens of the leaving instance become this one's, and it ACTIVE, in one step.
func (l *Lifecycler) Claim(ctx context.Context, from string) error {
	err := l.update(ctx, func(s *self) error {
		if !s.receiving {
			return errors.New("lifecycle: claim tokens: this instance is not receiving")
		}
		s.claim = from
		return nil
	})
	if err == nil && l.State() != ring.Active {
		err = errors.New("lifecycle: claim tokens: the ring was not written")
	}
	return err
}

// GiveUp ends Receiving otherwise.
func (l *Lifecycler) GiveUp(ctx context.Context) error {
	return l.update(ctx, func(s *self) error {
		if s.receiving {
			s.state, s.receiving, s.claim = ring.Pending, false, ""
		}
		return nil
	})
}

// takeTokens moves the tokens of p.claim in the ring.
func (p *proposal) takeTokens(now time.Time) error {
	if err := isLeaving(p.ring, p.claim); err != nil {
		return err
	}
	from := p.ring.Instances[p.claim]
	p.memory.Tokens = slices.Clone(from.Tokens)
	from.Tokens = nil
	from.Timestamp = max(from.Timestamp+1, now.Unix()) // or gossip would bring them back
	p.ring.Instances[p.claim] = from
	p.state, p.listed, p.receiving, p.claim = p.memory.Mode, true, false, ""
	return nil
}

// Pending returns the address of an instance that waits for another's data, "" if there is none.
func (l *Lifecycler) Pending(ctx context.Context) (id, addr string, err error) {
	d, err := l.Look(ctx)
	if err != nil {
		return "", "", err
	}
	now := l.cfg.Now()
	for other, in := range d.Instances {
		if other != l.ID() && in.State == ring.Pending && len(in.Tokens) == 0 && in.Healthy(now, l.cfg.HeartbeatTimeout) && (id == "" || other < id) {
			id, addr = other, in.Addr
		}
	}
	return id, addr, nil
}

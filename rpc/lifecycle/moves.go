package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/rekindledb/rekindle/rpc/ring"
)

var (
	// errGone stops a move of an instance that leaves.
	errGone = errors.New("lifecycle: this instance leaves the ring")
	// errReceiving stops a join that data came in before.
	errReceiving = errors.New("lifecycle: another's data comes in")
	// errStarting is what is asked for before Start gets.
	errStarting = errors.New("lifecycle: this instance has not looked at the ring yet; try again")
)

// joinPatience is how long a member of before waits for the store: others have its old entry and send to it already.
const joinPatience = time.Second

// Join makes this instance a member. It is called when requests can be answered, and returns when that is so as far as the
// store can be reached, or with ctx's error.
func (l *Lifecycler) Join(ctx context.Context) error {
	var patience <-chan time.Time
	if l.wasMember() {
		patience = time.After(joinPatience)
	}
	select {
	case <-l.tried:
	case <-patience:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		err := l.join(ctx)
		if err == nil || errors.Is(err, errGone) || ctx.Err() != nil {
			return err
		}
		if !wait(ctx, storeRetry) {
			return ctx.Err()
		}
	}
}

// wasMember reports whether the file says that the ring has had this instance.
func (l *Lifecycler) wasMember() bool {
	m := l.now().memory
	return len(m.Tokens) > 0 && m.Registered > 0
}

// receiveTick is how often a join looks whether another's data has come in.
const receiveTick = 50 * time.Millisecond

func (l *Lifecycler) join(ctx context.Context) error {
	s := l.now()
	if !s.met && len(s.memory.Tokens) == 0 {
		if err := l.update(ctx, func(*self) error { return nil }); err != nil {
			return err // new tokens need to see the others'
		}
		s = l.now()
	}
	// Another's data may come in until join-after is over, and then until Claim or GiveUp.
	for until := l.cfg.Now().Add(l.cfg.JoinAfter); s.receiving || s.state == ring.Pending && len(s.memory.Tokens) == 0 && l.cfg.Now().Before(until); s = l.now() {
		if !wait(ctx, receiveTick) {
			return ctx.Err()
		}
	}
	if s.state == ring.Pending && s.met && l.cfg.ObservePeriod > 0 { // not met: there is nothing to observe
		if err := l.observe(ctx); err != nil {
			return err
		}
	}
	call := ctx
	if l.wasMember() {
		patient, cancel := context.WithTimeout(ctx, joinPatience)
		defer cancel()
		call = patient
	}
	decided := false
	err := l.update(call, func(s *self) error {
		switch {
		case l.leaving.Load():
			return errGone
		case s.receiving:
			return errReceiving
		}
		l.fit(s)
		s.listed, s.state = true, s.memory.Mode
		decided = true
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !(decided && l.wasMember()): // others have a member's old entry, and it stands by what it decided
		return err
	}
	l.mu.Lock()
	l.mu.joined = l.cfg.Now()
	l.mu.Unlock()
	return nil
}

// fit brings the number of tokens to what is configured. Which ones are free is seen when they are published.
func (l *Lifecycler) fit(s *self) {
	l.mu.Lock()
	d := l.mu.ring
	l.mu.Unlock()
	s.memory.Tokens = d.Fit(s.memory.Tokens, l.cfg.NumTokens)
}

// observe is JOINING until nobody else has had these tokens for an observe period.
func (l *Lifecycler) observe(ctx context.Context) error {
	for {
		err := l.update(ctx, func(s *self) error {
			if l.leaving.Load() {
				return errGone
			}
			l.fit(s)
			s.listed, s.state = true, ring.Joining
			return nil
		})
		if err != nil {
			return err
		}
		before := l.now().memory.Tokens
		if !wait(ctx, l.cfg.ObservePeriod) {
			return ctx.Err()
		}
		if err := l.update(ctx, func(*self) error { return nil }); err != nil { // looks at the ring
			return err
		}
		if sameTokens(before, l.now().memory.Tokens) {
			return nil
		}
	}
}

// SetMode makes this instance ACTIVE or READONLY, now and after restarts. Before it has joined, that is what it will be.
func (l *Lifecycler) SetMode(ctx context.Context, mode ring.State) error {
	if mode != ring.Active && mode != ring.ReadOnly {
		return fmt.Errorf("lifecycle: mode %s is unknown: %s and %s are", mode, ring.Active, ring.ReadOnly)
	}
	return l.update(ctx, func(s *self) error {
		if l.leaving.Load() {
			return fmt.Errorf("%w: it cannot become %s any more", errGone, mode)
		}
		if s.memory.Mode == mode {
			return nil
		}
		now := l.cfg.Now().Unix()
		s.memory.Mode, s.memory.ModeSet = mode, now
		if s.state == ring.Active || s.state == ring.ReadOnly {
			s.state = mode
		}
		if mode == ring.Active {
			s.memory.Registered = now // tenants were somewhere else meanwhile, and are looked for there
		}
		return nil
	})
}

// Mode returns ACTIVE or READONLY and since when, zero if it never changed.
func (l *Lifecycler) Mode() (ring.State, time.Time) {
	m := l.now().memory
	if m.ModeSet == 0 {
		return m.Mode, time.Time{}
	}
	return m.Mode, time.Unix(m.ModeSet, 0)
}

// RenewTokens replaces a part of the tokens, 0.1 is a tenth, by random ones.
func (l *Lifecycler) RenewTokens(ctx context.Context, part float64) error {
	return l.update(ctx, func(s *self) error {
		n := len(s.memory.Tokens)
		if s.state != ring.Active && s.state != ring.ReadOnly || n == 0 {
			return fmt.Errorf("lifecycle: instance is %s with %d tokens: only a member can renew tokens", s.state, n)
		}
		keep := make([]uint32, 0, n)
		drop := int(math.Ceil(float64(n) * min(max(part, 0), 1)))
		for i, at := range rand.Perm(n) {
			if i >= drop {
				keep = append(keep, s.memory.Tokens[at])
			}
		}
		l.mu.Lock()
		d := l.mu.ring
		l.mu.Unlock()
		s.memory.Tokens = d.Fit(keep, n)
		return nil
	})
}

// Leave refuses pushes from now on and says so in the ring. Queries and heartbeats go on. The way back is a restart.
func (l *Lifecycler) Leave(ctx context.Context) error {
	if l.leaving.Swap(true) {
		return nil
	}
	err := l.update(ctx, func(s *self) error {
		if s.listed && s.state != ring.ReadOnly { // READONLY gets no writes as it is, and stays so for readers
			s.state = ring.Leaving
		}
		return nil
	})
	// The next process's first entry has to have a greater timestamp than this one's last.
	return errors.Join(err, l.remember(l.now().memory))
}

// Unregister takes this instance out of the ring for good, as PrepareShutdown may have announced. A later start is a new
// member, with the same tokens.
func (l *Lifecycler) Unregister(ctx context.Context) error {
	l.leaving.Store(true)
	err := l.update(ctx, func(s *self) error {
		s.listed, s.state = false, ring.Leaving
		s.memory.Registered = 0
		return nil
	})
	if err == nil {
		err = l.removeMarker()
	}
	return errors.Join(err, l.remember(l.now().memory))
}

func (l *Lifecycler) now() self {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.self
}

// wait returns false if ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

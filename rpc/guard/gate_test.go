package guard

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A push waits for a gate that will open soon, or of which nothing is known, and for the instance to join the ring then; but
// no longer than a second, and not for one that will take longer, nor for one that closes. Once the gate has opened, a push
// that the instance does not take goes to another at once.
func TestEnterPush(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		left          time.Duration // as the gate's status says
		opens, closes time.Duration // when, if not 0
		joins         time.Duration // when the instance takes pushes
		gives         time.Duration // when the sender gives up, if not 0
		waits         time.Duration
		enters        bool
	}{
		"opens in time":   {left: 500 * ms, opens: 300 * ms, waits: 300 * ms, enters: true},
		"nothing known":   {opens: 900 * ms, waits: 900 * ms, enters: true},
		"joins then":      {opens: 300 * ms, joins: 318 * ms, waits: 320 * ms, enters: true},
		"joins late":      {opens: 300 * ms, joins: 2 * time.Second, waits: time.Second},
		"promised much":   {left: 500 * ms, opens: 3 * time.Second, waits: time.Second},
		"far from ready":  {left: 5 * time.Second, opens: 300 * ms},
		"closes":          {left: 500 * ms, closes: 200 * ms, waits: 200 * ms},
		"sender gives up": {left: 500 * ms, gives: 100 * ms, waits: 100 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				g := NewGate(func() Status { return Status{Left: c.left} })
				g.AcceptIf(func() error {
					if time.Since(begin) < c.joins {
						return errors.New("PENDING")
					}
					return nil
				}, nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				at := func(d time.Duration, do func()) {
					if d > 0 {
						time.AfterFunc(d, do)
					}
				}
				at(c.opens, g.Open)
				at(c.closes, func() { _ = g.Close(context.Background()) })
				at(c.gives, cancel)
				no := g.EnterPush(ctx)
				if waited := time.Since(begin); (no == nil) != c.enters || waited != c.waits {
					t.Errorf("entered %v after %v, want %v after %v", no == nil, waited, c.enters, c.waits)
				}
				if no == nil {
					g.Leave()
				}
				time.Sleep(5 * time.Second) // what was set in motion is over
			})
		})
	}
	g := NewGate(func() Status { return Status{} })
	g.AcceptIf(func() error { return errors.New("LEAVING") }, nil)
	g.Open()
	begin := time.Now()
	if no := g.EnterPush(t.Context()); no == nil || time.Since(begin) > pushWait/2 {
		t.Errorf("a push for an instance that leaves: %v after %v", no, time.Since(begin))
	}
}

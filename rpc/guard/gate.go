package guard

import (
	"context"
	"sync"
	"time"
)

// Gate stands between requests and the engine. It is shut while the engine recovers, open while it runs, and closed for
// good before it goes away: then nobody enters, queries inside are cancelled and pushes inside are waited for.
type Gate struct {
	status    func() Status
	accepting func() error // why pushes are refused although the gate is open; nil if they are not
	ready     func() error // why the instance is not ready although the gate is open

	mu     sync.RWMutex
	open   bool
	opened chan struct{}  // closed when open becomes true
	inside sync.WaitGroup // Add only with mu held and open

	closing context.Context // done from Close on
	cancel  context.CancelFunc
}

// Status says why the engine is not ready.
type Status struct {
	Text string        // phase, percent, seconds left
	Left time.Duration // the same for programs; 0 or less if it is not known
}

// NewGate returns a shut gate. Requests that come meanwhile are told what status says.
func NewGate(status func() Status) *Gate {
	always := func() error { return nil }
	g := &Gate{status: status, accepting: always, ready: always, opened: make(chan struct{})}
	g.closing, g.cancel = context.WithCancel(context.Background())
	return g
}

// AcceptIf refuses pushes, and only pushes, while accepting returns an error: an instance that leaves the ring still
// answers queries. It is not ready while ready returns one. Called before Open.
func (g *Gate) AcceptIf(accepting, ready func() error) { g.accepting, g.ready = accepting, ready }

// Open lets requests in.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open && g.closing.Err() == nil {
		g.open = true
		close(g.opened)
	}
}

// Close refuses further requests and returns when none is inside any more, or with ctx's error. The engine
// may be closed after it.
func (g *Gate) Close(ctx context.Context) error {
	g.mu.Lock()
	g.open = false
	g.cancel()
	g.mu.Unlock()

	empty := make(chan struct{})
	go func() {
		g.inside.Wait()
		close(empty)
	}()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Enter admits a request, which must call Leave in the end, or returns why not.
func (g *Gate) Enter() *Refusal {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closing.Err() != nil {
		return Unavailable("not ready: stopping", 0)
	}
	if !g.open {
		s := g.status()
		return Unavailable("not ready: "+s.Text, s.Left)
	}
	g.inside.Add(1)
	return nil
}

// pushWait is the longest that a push waits for the engine: it leaves the sender, whose own patience is two seconds if it is
// a distributor, time to hear that it has waited in vain. pushPoll is how often it looks whether the instance has joined.
const (
	pushWait = time.Second
	pushPoll = 5 * time.Millisecond
)

// EnterPush is Enter for a push. While the engine recovers it waits, unless that is known to take longer than a push can
// wait, so that a restart in a blink is a delay for senders and no error. Who waits has a Ticket, which bounds the memory
// that waits. Once the engine runs, nobody waits for the instance to take pushes: they go to others.
func (g *Gate) EnterPush(ctx context.Context) *Refusal {
	recovering := !g.hasOpened()
	no := g.enterAccepting()
	if no == nil || !recovering || no.RetryAfter > pushWait {
		return no
	}
	ctx, cancel := context.WithTimeout(ctx, pushWait)
	defer cancel()
	select {
	case <-g.opened:
	case <-g.closing.Done():
	case <-ctx.Done():
	}
	poll := time.NewTicker(pushPoll) // joining the ring takes a moment more
	defer poll.Stop()
	for {
		if no = g.enterAccepting(); no == nil || g.closing.Err() != nil || ctx.Err() != nil {
			return no
		}
		select {
		case <-poll.C:
		case <-g.closing.Done():
		case <-ctx.Done():
		}
	}
}

func (g *Gate) hasOpened() bool {
	select {
	case <-g.opened:
		return true
	default:
		return false
	}
}

// enterAccepting enters if the instance takes pushes.
func (g *Gate) enterAccepting() *Refusal {
	if no := g.Enter(); no != nil {
		return no
	}
	if err := g.accepting(); err != nil {
		g.Leave()
		return Unavailable(err.Error(), 0)
	}
	return nil
}

// Ready says why others should not rely on this instance; nil if they may.
func (g *Gate) Ready() *Refusal {
	if no := g.Enter(); no != nil {
		return no
	}
	g.Leave()
	if err := g.ready(); err != nil {
		return Unavailable(err.Error(), 0)
	}
	return nil
}

// Leave ends what Enter began.
func (g *Gate) Leave() { g.inside.Done() }

// Closing is closed when the gate begins to close.
func (g *Gate) Closing() <-chan struct{} { return g.closing.Done() }

// EnterQuery is Enter for a query, whose context ends when the gate closes. leave is called in the end.
func (g *Gate) EnterQuery(ctx context.Context) (query context.Context, leave func(), no *Refusal) {
	if no := g.Enter(); no != nil {
		return nil, nil, no
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(g.closing, cancel)
	return ctx, func() {
		stop()
		cancel()
		g.Leave()
	}, nil
}

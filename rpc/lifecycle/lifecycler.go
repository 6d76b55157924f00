package lifecycle

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rekindledb/rekindle/rpc/ring"
)

const (
	// storeTimeout bounds one call of the store. It is less than a heartbeat period and more than an election takes.
	storeTimeout = 4 * time.Second
	// storeRetry is the pause before a change is offered again that the store did not take.
	storeRetry = time.Second
)

// Lifecycler keeps one entry of the ring.
type Lifecycler struct {
	cfg Config

	state      atomic.Int32 // mu.self.state, for Accepting
	leaving    atomic.Bool  // from Leave on, whatever the state is called
	heartbeats atomic.Uint64

	// publishing holds one token: whoever has it may change self and call the store. A heartbeat in progress is
	// interrupted by others who want it.
	publishing chan struct{}
	tried      chan struct{} // closed when the store answered or failed for the first time
	ended      chan struct{}

	mu struct {
		sync.Mutex
		self      self
		cancel    context.CancelFunc // of run; nil before Start
		dirty     bool               // the last publication failed
		interrupt context.CancelFunc // of the heartbeat in progress
		joined    time.Time          // when Join was through
		ring      *ring.Desc         // as last seen; not written to
	}
}

// self is what the ring shall say of this instance.
type self struct {
	id     string
	memory memory
	state  ring.State
	listed bool // the entry shall be there
	met    bool // what the ring said of this instance at the start was taken over

	receiving bool   // JOINING because another's data comes in
	claim     string // whose tokens to take with the next publication
}

// New returns what is PENDING until Start.
func New(cfg Config) *Lifecycler {
	l := &Lifecycler{
		cfg:        cfg.withDefaults(),
		publishing: make(chan struct{}, 1),
		tried:      make(chan struct{}),
		ended:      make(chan struct{}),
	}
	l.mu.self.state, l.mu.ring = ring.Pending, ring.NewDesc()
	l.state.Store(int32(ring.Pending))
	return l
}

// Start reads the tokens file, looks instance id up in the ring and sends heartbeats until Stop. It does not wait for
// the store. The directory of the tokens file must be this process's alone.
func (l *Lifecycler) Start(id string) error {
	l.publishing <- struct{}{}
	defer func() { <-l.publishing }()
	s := self{id: id, state: ring.Pending}
	if l.cfg.TokensFile != "" {
		var err error
		if s.memory, err = readMemory(l.cfg.FS, l.cfg.TokensFile); err != nil {
			return err
		}
	}
	s.listed = len(s.memory.Tokens) == 0 // what has tokens goes into the ring with them, when it joins
	ctx, cancel := context.WithCancel(context.Background())
	l.mu.Lock()
	l.mu.self, l.mu.cancel = s, cancel
	l.mu.Unlock()
	go l.run(ctx)
	return nil
}

// Stop ends heartbeats. The entry stays as it is.
func (l *Lifecycler) Stop() {
	l.mu.Lock()
	cancel := l.mu.cancel
	l.mu.Unlock()
	if cancel != nil {
		cancel()
		<-l.ended
	}
}

func (l *Lifecycler) run(ctx context.Context) {
	defer close(l.ended)
	l.heartbeat(ctx)
	close(l.tried)
	pause := l.cfg.HeartbeatPeriod
	pause = pause/2 + rand.N(pause/2+1) // instances that start together do not beat together
	for {
		l.mu.Lock()
		if l.mu.dirty && (pause <= 0 || pause > storeRetry) {
			pause = storeRetry
		}
		l.mu.Unlock()
		if pause <= 0 { // no heartbeats; what others change and fail to publish is looked for here
			pause = storeRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		l.mu.Lock()
		due := l.cfg.HeartbeatPeriod > 0 || l.mu.dirty
		l.mu.Unlock()
		if due {
			l.heartbeat(ctx)
		}
		pause = l.cfg.HeartbeatPeriod
	}
}

// heartbeat gives way to who else wants to publish, and does not say how it went: the next one tries again.
func (l *Lifecycler) heartbeat(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case l.publishing <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-l.publishing }()
	l.mu.Lock()
	l.mu.interrupt = cancel
	l.mu.Unlock()
	_ = l.publish(ctx)
	l.mu.Lock()
	l.mu.interrupt = nil
	l.mu.Unlock()
}

// update changes what the ring shall say, remembers it and publishes it. After an error of the store the change stands
// and heartbeats go on offering it. Only an error of change itself, or of ctx before it, means that nothing happened.
func (l *Lifecycler) update(ctx context.Context, change func(*self) error) error {
	l.mu.Lock()
	if l.mu.interrupt != nil {
		l.mu.interrupt()
	}
	l.mu.Unlock()
	select {
	case l.publishing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.publishing }()
	l.mu.Lock()
	s, started := l.mu.self, l.mu.cancel != nil
	l.mu.Unlock()
	if !started {
		return errStarting
	}
	if err := change(&s); err != nil {
		return err
	}
	if err := l.become(s); err != nil {
		return err
	}
	return l.publish(ctx)
}

// become takes on a new self; called with the publishing token. Tokens and mode are on disk before the ring has them, as far
// as they are chosen here.
func (l *Lifecycler) become(s self) error {
	l.mu.Lock()
	old := l.mu.self
	l.mu.self = s
	l.state.Store(int32(s.state))
	l.mu.Unlock()
	if s.state != old.state {
		l.cfg.Logger.Info("ring: "+s.state.String(), "before", old.state.String(), "instance", s.id, "tokens", len(s.memory.Tokens))
	}
	m, was := &s.memory, &old.memory
	if m.Mode != was.Mode || m.Registered != was.Registered || !sameTokens(m.Tokens, was.Tokens) {
		return l.remember(*m)
	}
	return nil
}

// sameTokens compares lists that are sorted.
func sameTokens(a, b []uint32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// remember writes the tokens file.
func (l *Lifecycler) remember(m memory) error {
	if l.cfg.TokensFile == "" {
		return nil
	}
	err := m.write(l.cfg.FS, l.cfg.TokensFile)
	if err != nil {
		l.cfg.Logger.Error("the tokens file is not up to date: a restart may come back with other tokens or in another mode", "err", err)
	}
	return err
}

package httpsrv

import (
	"context"
	"net/http"
	"sync"
)

// Gate stands between requests and the engine. It is shut while the engine recovers, open while it runs, and closed for
// good before it goes away: then nobody enters, queries inside are cancelled and pushes inside are waited for.
type Gate struct {
	status func() Status

	mu     sync.RWMutex
	open   bool
	inside sync.WaitGroup // Add only with mu held and open

	closing context.Context // done from Close on
	cancel  context.CancelFunc
}

// NewGate returns a shut gate. Requests that come meanwhile are told what status says.
func NewGate(status func() Status) *Gate {
	g := &Gate{status: status}
	g.closing, g.cancel = context.WithCancel(context.Background())
	return g
}

// Open lets requests in.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = g.closing.Err() == nil
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

// enter admits a request, which must call inside.Done in the end, or returns why not.
func (g *Gate) enter() *refusal {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closing.Err() != nil {
		return unavailable("not ready: stopping", 0)
	}
	if !g.open {
		s := g.status()
		return unavailable("not ready: "+s.Text, s.Left)
	}
	g.inside.Add(1)
	return nil
}

// wrapQuery admits a query, which ends when the gate closes.
func (g *Gate) wrapQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if no := g.enter(); no != nil {
			no.write(w)
			return
		}
		defer g.inside.Done()
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(g.closing, cancel)()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

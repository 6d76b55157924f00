package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress says every few seconds how far a long run is, a line each, so that a log file can take it.
type progress struct {
	w     io.Writer
	began time.Time

	mu   sync.Mutex
	last time.Time
}

const progressEvery = 2 * time.Second

func newProgress(w io.Writer) *progress {
	now := time.Now()
	return &progress{w: w, began: now, last: now}
}

// say prints text if nothing was printed for some time.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.last) >= progressEvery {
		p.last = now
		fmt.Fprintf(p.w, "%4.0fs  %s\n", now.Sub(p.began).Seconds(), fmt.Sprintf(format, args...))
	}
}

// follow says what text returns until stop is called.
func (p *progress) follow(text func() string) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				p.say("%s", text())
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// bytes is a size for people.
func bytes(n int64) string {
	const unit = 1 << 10
	f, i := float64(n), 0
	for ; f >= unit && i < 4; i++ {
		f /= unit
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGT"[i-1])
}

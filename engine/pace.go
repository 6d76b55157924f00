package engine

import (
	"sync"
	"time"
)

// pace spreads the writing of a round of images over the time until the next round will be due, so that a disk which
// does other things too sees an even trickle and not a burst of a stripe's size every so often. It gives way as soon
// as somebody waits for the round.
type pace struct {
	e *Engine

	mu struct {
		sync.Mutex
		begun  time.Time
		within time.Duration
		size   int64
		done   int64
		hurry  func() bool // called by whoever writes
	}
}

// paceStep is how long it sleeps before it looks again whether there is a hurry.
const paceStep = 20 * time.Millisecond

// begin says that about size bytes come now, and how long they may take.
func (p *pace) begin(size int64, within time.Duration, hurry func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.begun, p.mu.within, p.mu.size, p.mu.done, p.mu.hurry = time.Now(), within, max(size, 1), 0, hurry
}

// end lets everything pass.
func (p *pace) end() { p.begin(0, 0, nil) }

// wait is ckpt.Config.RateLimit: it returns when n bytes may be written.
func (p *pace) wait(n int) {
	p.e.limit(n)
	p.mu.Lock()
	due := p.mu.begun.Add(time.Duration(float64(p.mu.within) * min(float64(p.mu.done)/float64(p.mu.size), 1)))
	p.mu.done += int64(n)
	hurry := p.mu.hurry
	p.mu.Unlock()
	for hurry != nil && time.Now().Before(due) && !hurry() {
		time.Sleep(min(paceStep, time.Until(due)))
	}
}

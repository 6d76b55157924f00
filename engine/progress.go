package engine

import (
	"fmt"
	"sync"
	"time"

	"github.com/rekindledb/rekindle/walio"
)

// Phases of a start, in their order.
const (
	phaseImages = "images"
	phaseScan   = "log, looking it over"
	phaseReplay = "log, replaying it"
	phaseReady  = "ready"
)

// Progress says how far the start is.
type Progress struct {
	Ready bool
	// Phase is what is being done, Tenant whose.
	Phase, Tenant string
	// Done and Total are in units of the phase: stripes, or bytes of log. Total 0 = not known yet.
	Done, Total int64
	// Percent of the phase, and how long the rest of it, and of what follows on the log, will take at the speed so
	// far; negative = not known.
	Percent float64
	ETA     time.Duration
	// Err is why the start failed.
	Err error
}

func (p Progress) String() string {
	switch {
	case p.Err != nil:
		return fmt.Sprintf("recovery failed: %v", p.Err)
	case p.Ready:
		return "ready"
	case p.Total == 0:
		return fmt.Sprintf("recovering tenant %q: %s", p.Tenant, p.Phase)
	case p.ETA < 0:
		return fmt.Sprintf("recovering tenant %q: %s, %.0f %%", p.Tenant, p.Phase, p.Percent)
	}
	return fmt.Sprintf("recovering tenant %q: %s, %.0f %%, about %.1f s left", p.Tenant, p.Phase, p.Percent, p.ETA.Seconds())
}

// progress is the start's own view, updated by many goroutines.
type progress struct {
	mu struct {
		sync.Mutex
		p     Progress
		begun time.Time // of the phase
	}
}

func (p *progress) tenant(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.p.Tenant = id
}

func (p *progress) phase(name string, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.p.Phase, p.mu.p.Done, p.mu.p.Total = name, 0, total
	p.mu.begun = time.Now()
}

// log notes how far the log is.
func (p *progress) log(w walio.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.Phase == "replay" && p.mu.p.Phase != phaseReplay {
		p.mu.p.Phase, p.mu.begun = phaseReplay, time.Now()
	}
	p.mu.p.Done, p.mu.p.Total = w.Done, w.Total
}

func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.p.Done += n
}

func (p *progress) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.p.Ready, p.mu.p.Err = err == nil, err
	if err == nil {
		p.mu.p.Phase = phaseReady
	}
}

func (p *progress) get() Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.mu.p
	out.ETA = -1
	if out.Total > 0 {
		out.Percent = 100 * float64(out.Done) / float64(out.Total)
		if out.Done > 0 {
			out.ETA = time.Duration(float64(time.Since(p.mu.begun)) * float64(out.Total-out.Done) / float64(out.Done))
			if out.Phase == phaseScan {
				out.ETA += time.Duration(float64(out.Total) * restartLogByte)
			}
		}
	}
	return out
}

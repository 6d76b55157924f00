package main

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rekindledb/rekindle/bench"
)

// loader writes a workload's scrapes with several writers. A writer owns every Writers-th request of each
// scrape, so that the samples of a series stay in order.
type loader struct {
	s       spec
	w       *bench.Workload
	st      store
	pushers []pusher

	pushed atomic.Int64
}

func newLoader(s spec, w *bench.Workload, st store) *loader {
	l := &loader{s: s, w: w, st: st}
	for range s.Writers {
		l.pushers = append(l.pushers, st.pusher(w.Feeder()))
	}
	return l
}

// requests are those of one writer in one scrape.
func (l *loader) requests(writer int, do func(lo, hi int) error) error {
	for lo := writer * l.s.Request; lo < l.w.Series(); lo += l.s.Writers * l.s.Request {
		if err := do(lo, min(lo+l.s.Request, l.w.Series())); err != nil {
			return err
		}
	}
	return nil
}

// ownCPU is what the workload takes for a sample of a scrape in seconds, measured on as many samples as give a
// steady figure, and with all writers at work as they will be: cores that share caches are slower together.
func (l *loader) ownCPU(scrape int) float64 {
	const samplesMin = 200_000
	var n atomic.Int64
	before := cpuTime()
	var g sync.WaitGroup
	for writer, p := range l.pushers {
		if writer*l.s.Request >= l.w.Series() {
			break // there are more writers than requests
		}
		g.Go(func() {
			for done := 0; done < samplesMin; {
				_ = l.requests(writer, func(lo, hi int) error {
					p.generate(scrape, lo, hi)
					done += hi - lo
					n.Add(int64(hi - lo))
					return nil
				})
			}
		})
	}
	g.Wait()
	return (cpuTime() - before) / float64(n.Load())
}

// write pushes scrapes from to end (exclusive) and measures it.
func (l *loader) write(ctx context.Context, name string, from, end int, own float64) (phase, error) {
	p := phase{Samples: (end - from) * l.w.Series()}
	before, err := dirSize(l.st.logDir())
	if err != nil && from > 0 {
		return p, err
	}
	stop := l.reportProgress(name, p.Samples)
	took := make([][]float64, len(l.pushers))
	begin, cpu := time.Now(), cpuTime()
	g, ctx := errgroup.WithContext(ctx)
	for writer, pusher := range l.pushers {
		g.Go(func() error {
			for scrape := from; scrape < end; scrape++ {
				err := l.requests(writer, func(lo, hi int) error {
					sent := time.Now()
					err := pusher.push(ctx, scrape, lo, hi)
					took[writer] = append(took[writer], time.Since(sent).Seconds())
					l.pushed.Add(int64(hi - lo))
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = g.Wait()
	p.Wall = time.Since(begin).Seconds()
	p.CPU = cpuTime() - cpu - own*float64(p.Samples)
	stop()
	if err != nil {
		return p, err
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	p.Requests, p.P50, p.P99 = len(all), all[len(all)/2], all[len(all)*99/100]
	after, err := dirSize(l.st.logDir())
	p.LogBytes = after - before
	return p, err
}

// reportProgress tells the parent now and then how far a phase is, until stop is called.
func (l *loader) reportProgress(name string, samples int) (stop func()) {
	l.pushed.Store(0)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				tell(event{Phase: name, Done: float64(l.pushed.Load()) / float64(samples)})
			}
		}
	}()
	return func() { close(done); <-ended }
}

// load writes everything. The first scrape creates all series, or with churn most of them.
func (l *loader) load(ctx context.Context) (*loadedEvent, error) {
	ownCreate, ownAppend := l.ownCPU(0), l.ownCPU(1)
	// The garbage of measuring is nobody's.
	runtime.GC()
	var e loadedEvent
	var err error
	if e.Create, err = l.write(ctx, "new series", 0, 1, ownCreate); err != nil {
		return nil, err
	}
	if l.s.Scrapes > 1 {
		if e.Append, err = l.write(ctx, "samples", 1, l.s.Scrapes, ownAppend); err != nil {
			return nil, err
		}
	}
	e.Memory = processMemory()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	e.Heap = int64(m.HeapAlloc)
	return &e, nil
}

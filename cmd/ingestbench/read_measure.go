package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// readOrders tell a child to put the questions, after it has loaded.
type readOrders struct {
	For     time.Duration // for each question
	RunsMin int           // of each, if they take longer
	Rate    int           // samples per second to push for the questions under load; 0 = none
}

// readFigures are what a child has measured of all questions, in their order.
type readFigures struct {
	Quiet, Loaded []timing
	// Pushes while nobody asks, while the questions are asked, and by question.
	PushAlone, PushAsked pushTiming
	PushByQuestion       []pushTiming
}

// timing is what the runs of a question took.
type timing struct {
	Answer        answer
	Runs          int
	P50, P99, Max float64 // seconds
	CPU           float64 // seconds of the process a run, with collections
	Bytes, Allocs float64 // of the Go heap a run

	began, ended time.Time
}

// pushTiming is what pushes took, from the moment at which each was due.
type pushTiming struct {
	Requests       int
	Rate           float64 // samples per second that were pushed
	P50, P99, P999 float64 // seconds
	Max            float64
}

// measure asks a question again and again. Those of microseconds too are asked for the whole time: it takes thousands until
// the Go heap of a system is collected, and then others wait for it.
func (o *readOrders) measure(ctx context.Context, q question) (t timing, err error) {
	// Once without measuring: caches are as they are for a dashboard.
	if t.Answer, err = q.ask(ctx); err != nil {
		return t, fmt.Errorf("%s: %w", q.Name, err)
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var took []float64
	begin, cpu := time.Now(), cpuTime()
	for run := 0; run < o.RunsMin || time.Since(begin) < o.For; run++ {
		asked := time.Now()
		a, err := q.ask(ctx)
		took = append(took, time.Since(asked).Seconds())
		if err == nil && !a.equal(t.Answer) {
			err = fmt.Errorf("answered %v and then %v", t.Answer, a)
		}
		if err != nil {
			return t, fmt.Errorf("%s: %w", q.Name, err)
		}
	}
	t.began, t.ended = begin, time.Now()
	n := float64(len(took))
	t.Runs, t.CPU = len(took), (cpuTime()-cpu)/n
	runtime.ReadMemStats(&after)
	t.Bytes, t.Allocs = float64(after.TotalAlloc-before.TotalAlloc)/n, float64(after.Mallocs-before.Mallocs)/n
	slices.Sort(took)
	t.P50, t.P99, t.Max = percentile(took, 0.5), percentile(took, 0.99), took[len(took)-1]
	return t, nil
}

// percentile of sorted times.
func percentile(sorted []float64, p float64) float64 {
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}

// readAll asks all questions, first in peace and then while samples come in.
func (l *loader) readAll(ctx context.Context) (*readFigures, error) {
	o := l.s.Read
	at := l.s.Workload.Start + int64(l.s.Scrapes)*l.w.Params().Interval.Milliseconds()
	a, err := newAsker(ctx, l.st.queryable(), l.s.Workload.Start, at)
	if err != nil {
		return nil, err
	}
	if r, ok := l.st.(*rekindleStore); ok {
		a.stream = r.e.Tenant(tenant).Stream
	}
	ask := func(name string) (timings []timing, err error) {
		questions := a.questions()
		for i, q := range questions {
			tell(event{Phase: name, Done: float64(i) / float64(len(questions))})
			t, err := o.measure(ctx, q)
			if err != nil {
				return nil, err
			}
			timings = append(timings, t)
		}
		return timings, nil
	}
	var f readFigures
	if f.Quiet, err = ask("ask"); err != nil || o.Rate == 0 {
		return &f, err
	}
	alone, err := l.pushWhile(ctx, l.s.Scrapes, func() error { return sleep(ctx, 5*o.For) })
	if err != nil {
		return nil, err
	}
	f.PushAlone = alone.timing(time.Time{}, time.Now())
	// The scrape that was under way is not taken up again: its targets are late, as after a pause.
	next := l.s.Scrapes + 1 + len(alone.pushes)*l.s.Request/l.w.Series()
	asked, err := l.pushWhile(ctx, next, func() (err error) { f.Loaded, err = ask("ask while samples come in"); return err })
	if err != nil {
		return nil, err
	}
	f.PushAsked = asked.timing(time.Time{}, time.Now())
	for _, t := range f.Loaded {
		f.PushByQuestion = append(f.PushByQuestion, asked.timing(t.began, t.ended))
	}
	return &f, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// pushes are all that were sent in a while.
type pushes struct {
	pushes []onePush
	rate   float64 // samples per second
}

type onePush struct {
	due  time.Time
	took float64 // seconds since then
}

// timing is of the pushes that were due between two moments.
func (p *pushes) timing(from, to time.Time) (t pushTiming) {
	var took []float64
	for _, one := range p.pushes {
		if one.due.After(from) && one.due.Before(to) {
			took = append(took, one.took)
		}
	}
	slices.Sort(took)
	if t.Requests, t.Rate = len(took), p.rate; t.Requests > 0 {
		t.P50, t.P99, t.P999, t.Max = percentile(took, 0.5), percentile(took, 0.99), percentile(took, 0.999), took[len(took)-1]
	}
	return t
}

// pushWhile pushes scrapes, from the one given on, at the ordered rate until do returns. Each writer has a
// timetable; a push that is late because the one before it took long counts from when it was due.
func (l *loader) pushWhile(ctx context.Context, scrape int, do func() error) (*pushes, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	every := time.Duration(float64(l.s.Request*l.s.Writers) / float64(l.s.Read.Rate) * float64(time.Second))
	sent, samples := make([][]onePush, l.s.Writers), make([]int, l.s.Writers)
	failed := make([]error, l.s.Writers)
	begin := time.Now()
	var writers sync.WaitGroup
	for writer, p := range l.pushers {
		if writer*l.s.Request >= l.w.Series() {
			break // it has nothing to push
		}
		writers.Go(func() {
			due := begin.Add(every * time.Duration(writer) / time.Duration(l.s.Writers))
			for k := scrape; failed[writer] == nil && ctx.Err() == nil; k++ {
				failed[writer] = l.requests(writer, func(lo, hi int) error {
					if sleep(ctx, time.Until(due)) != nil {
						return nil
					}
					// Not ctx: a push under way is finished.
					err := p.push(context.Background(), k, lo, hi)
					sent[writer] = append(sent[writer], onePush{due, time.Since(due).Seconds()})
					samples[writer] += hi - lo
					due = due.Add(every)
					return err
				})
			}
		})
	}
	err := do()
	lasted := time.Since(begin).Seconds()
	stop()
	writers.Wait()
	all := &pushes{pushes: slices.Concat(sent...)}
	for i := range failed {
		if err == nil {
			err = failed[i]
		}
		all.rate += float64(samples[i]) / lasted
	}
	return all, err
}

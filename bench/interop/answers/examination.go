package answers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/proc"
)

const (
	step = time.Second

	// settle is how long after a scrape's timestamp Prometheus may still be storing it: the scrape
	// timeout, and time to spare on a busy machine.
	settle = 3 * time.Second

	// lastSamples is the time before the end of a phase in which every series that lives has samples.
	lastSamples = 5 * time.Second

	// nonEmptyMin is how many expressions must have an answer for a phase to mean something.
	nonEmptyMin = 40

	differencesShown = 10
)

// Receiver is a server that Prometheus writes to and whose answers are compared with Prometheus's own.
type Receiver struct {
	Name string
	API  API
}

// Examination asks the same of Prometheus and of the receivers.
type Examination struct {
	Reference API
	Receivers []Receiver

	from time.Time // every sample after it reached the receivers, or should have
}

// Begin waits until samples of so many jobs arrive everywhere.
func (e *Examination) Begin(ctx context.Context, jobs int) error {
	err := e.wait(ctx, "samples of all jobs arrive", func(r Receiver) (bool, error) {
		a, err := r.API.Instant(ctx, "count by (job) (up == 1)", time.Now())
		return len(a) == jobs, err
	})
	e.from = time.Now().Add(settle)
	return err
}

// From is the time from which on the receivers have what Prometheus has.
func (e *Examination) From() time.Time { return e.from }

// Phase waits until the receivers have what Prometheus has up to a moment not long ago, and then compares
// all answers over the time until that moment.
func (e *Examination) Phase(ctx context.Context, name string) error {
	// New samples after whatever happened before this phase belong to it.
	if err := proc.Sleep(ctx, 2*settle); err != nil {
		return err
	}
	end := time.Now().Add(-settle)
	// A series' samples are sent in order, so that with the last ones all have come.
	newest := fmt.Sprintf(`{job=~".+"}[%dms]`, lastSamples.Milliseconds())
	want, err := e.Reference.Instant(ctx, newest, end)
	if err != nil {
		return err
	}
	err = e.wait(ctx, "they have the newest samples that Prometheus has", func(r Receiver) (bool, error) {
		got, err := r.API.Instant(ctx, newest, end)
		return err == nil && len(compare(want, got, false).differences) == 0, err
	})
	if err != nil {
		proc.Say("%v; the comparison will show what is missing", err)
	}
	for _, r := range e.Receivers {
		if err := e.compareAll(ctx, name, r, end); err != nil {
			return err
		}
	}
	return nil
}

func (e *Examination) compareAll(ctx context.Context, phase string, r Receiver, end time.Time) error {
	// The first evaluation sees no further back than e.from.
	start := e.from.Add(LookBack)
	middle := start.Add(end.Sub(start) / 2)
	phase += ", " + r.Name
	var total comparison
	equal, nonEmpty := 0, 0
	for _, x := range expressions {
		var all comparison
		for _, ask := range []func(API) (Answer, error){
			func(a API) (Answer, error) { return a.Range(ctx, x.text, start, end, step) },
			func(a API) (Answer, error) { return a.Instant(ctx, x.text, end) },
			func(a API) (Answer, error) { return a.Instant(ctx, x.text, middle) },
		} {
			c, err := e.put(r, ask, x.adds)
			if err != nil {
				return err
			}
			all.add(c)
		}
		if all.points > 0 {
			nonEmpty++
		}
		if len(all.differences) == 0 {
			equal++
		}
		all.show(phase + ": " + x.text)
		total.add(all)
	}
	var stored comparison
	window := fmt.Sprintf("[%dms]", end.Sub(e.from).Milliseconds())
	for _, selector := range rawSelectors {
		c, err := e.put(r, func(a API) (Answer, error) { return a.Instant(ctx, selector+window, end) }, false)
		if err != nil {
			return err
		}
		c.show(phase + ": " + selector + window)
		stored.add(c)
	}
	proc.Say("%s: %d of %d expressions equal over %v, %d of them with an answer, %d points (%d equal only within %g); %d stored samples",
		phase, equal, len(expressions), end.Sub(start).Round(time.Second), nonEmpty, total.points, total.rounded, tolerance, stored.points)
	if n := len(total.differences) + len(stored.differences); n > 0 {
		return fmt.Errorf("%s: %d differences", phase, n)
	}
	if nonEmpty < nonEmptyMin {
		return fmt.Errorf("%s: only %d expressions have an answer, want %d", phase, nonEmpty, nonEmptyMin)
	}
	return nil
}

// put asks Prometheus and a receiver the same.
func (e *Examination) put(r Receiver, ask func(API) (Answer, error), adds bool) (comparison, error) {
	want, err := ask(e.Reference)
	if err != nil {
		return comparison{}, err
	}
	got, err := ask(r.API)
	if err != nil {
		return comparison{}, err
	}
	return compare(want, got, adds), nil
}

// Pushes checks by Prometheus's own count that no sample was refused for good, and if kills have cut pushes
// short, that some were sent again.
func (e *Examination) Pushes(ctx context.Context, cutShort bool) error {
	for metric, good := range map[string]func(float64) bool{
		"prometheus_remote_storage_samples_failed_total":  func(n float64) bool { return n == 0 },
		"prometheus_remote_storage_samples_retried_total": func(n float64) bool { return n > 0 || !cutShort },
	} {
		a, err := e.Reference.Instant(ctx, "sum by (remote_name) ("+metric+")", time.Now())
		if err != nil {
			return err
		}
		for labels, points := range a {
			proc.Say("%s%s is %s", metric, labels, points[0].V)
			if !good(number(points[0].V)) {
				return fmt.Errorf("%s%s is %s", metric, labels, points[0].V)
			}
		}
	}
	return nil
}

// wait polls the receivers until all of them satisfy a condition.
func (e *Examination) wait(ctx context.Context, what string, condition func(Receiver) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for _, r := range e.Receivers {
		for {
			ok, err := condition(r)
			if ok {
				break
			}
			if err == nil {
				err = errors.New("they do not")
			}
			if ctx.Err() != nil {
				return fmt.Errorf("waited in vain until %s (%s): %w", what, r.Name, err)
			}
			if err := proc.Sleep(ctx, 200*time.Millisecond); err != nil {
				continue // the next turn says why
			}
		}
	}
	return nil
}

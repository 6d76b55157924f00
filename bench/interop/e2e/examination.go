package main

import (
	"context"
	"fmt"
	"time"
)

const (
	step = time.Second

	// settle is how long after a scrape's timestamp Prometheus may still be storing it: the scrape
	// timeout, and time to spare on a busy machine.
	settle = 3 * time.Second

	// lastSamples is the time before the end of a phase in which every series that lives has samples.
	lastSamples = 5 * time.Second

	// nonEmptyMin is how many expressions must have an answer for a phase to mean something.
	nonEmptyMin = 25

	differencesShown = 10
)

// examination asks the same of Prometheus and of the receivers.
type examination struct {
	cluster   *cluster
	reference api

	from time.Time // every sample after it reached the receivers, or should have
}

// begin waits until samples of all jobs arrive everywhere.
func (e *examination) begin(ctx context.Context) error {
	const jobs = 3
	err := e.wait(ctx, "samples of all jobs arrive", func(r *receiver) (bool, error) {
		a, err := r.api.instantQuery(ctx, "count by (job) (up == 1)", time.Now())
		return len(a) == jobs, err
	})
	e.from = time.Now().Add(settle)
	return err
}

// phase waits until the receivers have what Prometheus has up to a moment not long ago, and then compares
// all answers over the time until that moment.
func (e *examination) phase(ctx context.Context, name string) error {
	// New samples after whatever happened before this phase belong to it.
	if err := sleep(ctx, 2*settle); err != nil {
		return err
	}
	end := time.Now().Add(-settle)
	// A series' samples are sent in order, so that with the last ones all have come.
	newest := fmt.Sprintf(`{job=~".+"}[%dms]`, lastSamples.Milliseconds())
	want, err := e.reference.instantQuery(ctx, newest, end)
	if err != nil {
		return err
	}
	err = e.wait(ctx, "they have the newest samples that Prometheus has", func(r *receiver) (bool, error) {
		got, err := r.api.instantQuery(ctx, newest, end)
		return err == nil && len(compare(want, got, false).differences) == 0, err
	})
	if err != nil {
		say("%v; the comparison will show what is missing", err)
	}
	for _, r := range e.cluster.receivers {
		if err := e.compareAll(ctx, name, r, end); err != nil {
			return err
		}
	}
	return nil
}

func (e *examination) compareAll(ctx context.Context, phase string, r *receiver, end time.Time) error {
	// The first evaluation sees no further back than e.from.
	start := e.from.Add(lookBack)
	middle := start.Add(end.Sub(start) / 2)
	phase += ", " + r.protocol.name
	var total comparison
	equal, nonEmpty := 0, 0
	for _, x := range expressions {
		var all comparison
		for _, ask := range []func(api) (answer, error){
			func(a api) (answer, error) { return a.rangeQuery(ctx, x.text, start, end, step) },
			func(a api) (answer, error) { return a.instantQuery(ctx, x.text, end) },
			func(a api) (answer, error) { return a.instantQuery(ctx, x.text, middle) },
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
		c, err := e.put(r, func(a api) (answer, error) { return a.instantQuery(ctx, selector+window, end) }, false)
		if err != nil {
			return err
		}
		c.show(phase + ": " + selector + window)
		stored.add(c)
	}
	say("%s: %d of %d expressions equal over %v, %d of them with an answer, %d points (%d equal only within %g); %d stored samples",
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
func (e *examination) put(r *receiver, ask func(api) (answer, error), adds bool) (comparison, error) {
	want, err := ask(e.reference)
	if err != nil {
		return comparison{}, err
	}
	got, err := ask(r.api)
	if err != nil {
		return comparison{}, err
	}
	return compare(want, got, adds), nil
}

// pushes checks by Prometheus's own count that no sample was refused for good, and that the kills made it
// send some again.
func (e *examination) pushes(ctx context.Context) error {
	for metric, good := range map[string]func(float64) bool{
		"prometheus_remote_storage_samples_failed_total":  func(n float64) bool { return n == 0 },
		"prometheus_remote_storage_samples_retried_total": func(n float64) bool { return n > 0 },
	} {
		a, err := e.reference.instantQuery(ctx, "sum by (remote_name) ("+metric+")", time.Now())
		if err != nil {
			return err
		}
		for labels, points := range a {
			say("%s%s is %s", metric, labels, points[0].v)
			if !good(number(points[0].v)) {
				return fmt.Errorf("%s%s is %s", metric, labels, points[0].v)
			}
		}
	}
	return nil
}

// wait polls the receivers until all of them satisfy a condition.
func (e *examination) wait(ctx context.Context, what string, condition func(*receiver) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for _, r := range e.cluster.receivers {
		for {
			ok, err := condition(r)
			if ok {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("waited in vain until %s (%s): %w", what, r.name, errOr(err, "they do not"))
			}
			if err := sleep(ctx, 200*time.Millisecond); err != nil {
				continue // the next turn says why
			}
		}
	}
	return nil
}

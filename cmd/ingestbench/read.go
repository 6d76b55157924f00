package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/rekindledb/rekindle/bench"
)

// reading is one run of the read benchmark.
type reading struct {
	measurement
	questions            []question // their names
	Rekindle, Prometheus readFigures
}

// read measures what questions take in both systems over the same series: medians, percentiles, CPU and memory, in
// peace and while samples come in.
func read(ctx context.Context, args []string) error {
	r := &reading{
		measurement: measurement{show: newProgress(), s: spec{Scrapes: 60, Writers: 8, Request: 500, Workload: bench.Params{Seed: 1}}},
		questions:   new(asker).questions(),
	}
	o := &readOrders{}
	r.s.Read = o
	fs := flag.NewFlagSet("ingestbench read", flag.ContinueOnError)
	fs.IntVar(&r.s.Workload.Series, "series", 1_000_000, "series to ask for")
	fs.IntVar(&r.s.Scrapes, "scrapes", r.s.Scrapes, "samples of each")
	fs.DurationVar(&o.For, "for", 2*time.Second, "how long to ask each question")
	fs.IntVar(&o.RunsMin, "runs", 5, "how often to ask at least, if that takes longer")
	fs.IntVar(&o.Rate, "rate", 200_000, "samples a second to push while the questions are asked for the second time; 0: once only")
	dir := fs.String("dir", "", "where to put data (default: a temporary directory)")
	out := fs.String("out", "", "path without extension for the report as text and JSON")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if r.s.Scrapes < 2 || o.RunsMin < 1 || o.Rate < 0 {
		return errors.New("-scrapes must be at least 2, -runs at least 1, and -rate not negative")
	}
	return inDirectory(*dir, func(dir string) error {
		r.dir = dir
		if err := r.prepare(); err != nil {
			return err
		}
		r.s.Workload = r.w.Params()
		var err error
		if r.Rekindle, err = r.ask(ctx, r.spec(rekindle, "rekindle")); err != nil {
			return err
		}
		if r.Prometheus, err = r.ask(ctx, r.spec(prometheus, "prometheus")); err != nil {
			return err
		}
		r.show.clear()
		if err := r.check(); err != nil {
			return err
		}
		return r.report().publish(*out)
	})
}

// ask loads a system in a process of its own, and asks it.
func (r *reading) ask(ctx context.Context, s spec) (f readFigures, err error) {
	s.Load, s.Images = true, true
	p, err := start(ctx, r.show, s.System, s)
	if err != nil {
		return f, err
	}
	e, err := p.until(func(e event) bool { return e.Read != nil })
	if err != nil {
		return f, err
	}
	return *e.Read, errors.Join(p.kill(), r.discard(s.Dir))
}

// check tells whether both systems gave the same answers: a fast wrong one is worth no figure.
func (r *reading) check() error {
	for i, q := range r.questions {
		if ours, theirs := r.Rekindle.Quiet[i].Answer, r.Prometheus.Quiet[i].Answer; !ours.equal(theirs) || ours.N == 0 {
			return fmt.Errorf("%s: Rekindle answers %+v, Prometheus %+v", q.Name, ours, theirs)
		}
	}
	return nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/rekindledb/rekindle/bench"
)

// reading is one run of the read benchmark.
type reading struct {
	measurement
	Rekindle, Prometheus readFigures
}

// read measures what questions take in both systems over the same series: medians, percentiles, CPU and memory, in
// peace and while samples come in.
func read(ctx context.Context, args []string) error {
	r := &reading{measurement: measurement{show: newProgress(), s: spec{Scrapes: 60, Writers: 8, Request: 500, Workload: bench.Params{Seed: 1}}}}
	o := &readOrders{}
	r.s.Read = o
	fs := flag.NewFlagSet("ingestbench read", flag.ContinueOnError)
	fs.IntVar(&r.s.Workload.Series, "series", 1_000_000, "series to ask for")
	fs.IntVar(&r.s.Scrapes, "scrapes", r.s.Scrapes, "samples of each")
	fs.DurationVar(&o.For, "for", 2*time.Second, "how long to ask each question")
	fs.IntVar(&o.RunsMin, "runs", 5, "how often to ask at least, if that takes longer")
	fs.IntVar(&o.Rate, "rate", 200_000, "samples a second to push while the questions are asked for the second time; 0: once only")
	dir := fs.String("dir", "", "where to put data (default: a temporary directory)")
	jsonFile := fs.String("json", "", "file for all figures as JSON")
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
		return r.print(os.Stdout, *jsonFile)
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
func (r *reading) check(questions []question) error {
	for i, q := range questions {
		if ours, theirs := r.Rekindle.Quiet[i].Answer, r.Prometheus.Quiet[i].Answer; !ours.equal(theirs) || ours.N == 0 {
			return fmt.Errorf("%s: Rekindle answers %+v, Prometheus %+v", q.Name, ours, theirs)
		}
	}
	return nil
}

func (r *reading) print(w io.Writer, jsonFile string) error {
	questions := new(asker).questions()
	if err := r.check(questions); err != nil {
		return err
	}
	fmt.Fprintln(w, thisMachine())
	fmt.Fprintf(w, "%d series with 10 labels, %d samples of each; medians, then the 99th percentile, CPU and Go heap of a run; both gave the same answers\n\n", r.w.Series(), r.s.Scrapes)
	if err := printReads(w, questions, r.Rekindle.Quiet, r.Prometheus.Quiet); err != nil {
		return err
	}
	if r.s.Read.Rate > 0 {
		fmt.Fprintf(w, "\nThe same while %d samples a second come in, %d a request: medians, the 99th percentile and how it compares to that without pushes; and what pushes take\n\n", r.s.Read.Rate, r.s.Request)
		if err := r.printLoad(w, questions); err != nil {
			return err
		}
	}
	if jsonFile == "" {
		return nil
	}
	names := make([]string, len(questions))
	for i, q := range questions {
		names[i] = q.Name
	}
	b, err := json.MarshalIndent(struct {
		Machine              machine
		Run                  spec
		Questions            []string
		Rekindle, Prometheus readFigures
	}{thisMachine(), r.s, names, r.Rekindle, r.Prometheus}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(jsonFile, append(b, '\n'), 0o644)
}

// printReads writes a line a question. A ratio is ours to theirs.
func printReads(w io.Writer, questions []question, ours, theirs []timing) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tRekindle\tPrometheus\t\tratio\tp99\tPrometheus\t\tCPU\tPrometheus\t\tratio\theap\tPrometheus\t\truns\t\t")
	for i, q := range questions {
		o, p := ours[i], theirs[i]
		fmt.Fprintf(t, "%-40s\t%s\t%s\tms\t%s\t%s\t%s\tms\t%s\t%s\tms\t%s\t%s\t%s\tMB\t%d\t%d\t\n", q.Name,
			figure(o.P50*1e3), figure(p.P50*1e3), figure(o.P50/p.P50), figure(o.P99*1e3), figure(p.P99*1e3),
			figure(o.CPU*1e3), figure(p.CPU*1e3), figure(o.CPU/p.CPU), figure(o.Bytes/1e6), figure(p.Bytes/1e6), o.Runs, p.Runs)
	}
	return t.Flush()
}

// printLoad writes how much longer a question takes while samples come in, and how long pushes take meanwhile. CPU and
// heap are left out: they are those of the pushes too.
func (r *reading) printLoad(w io.Writer, questions []question) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tRekindle\tp99\tto quiet\tpush p99\tmax\tPrometheus\tp99\tto quiet\tpush p99\tmax\t\t")
	line := func(name string, cells func(*readFigures) string) {
		fmt.Fprintf(t, "%-40s%s%s\tms\t\n", name, cells(&r.Rekindle), cells(&r.Prometheus))
	}
	pushes := func(p pushTiming) string { return fmt.Sprintf("\t%s\t%s", figure(p.P99*1e3), figure(p.Max*1e3)) }
	for i, q := range questions {
		line(q.Name, func(f *readFigures) string {
			l := f.Loaded[i]
			return fmt.Sprintf("\t%s\t%s\t%s%s", figure(l.P50*1e3), figure(l.P99*1e3), figure(l.P99/f.Quiet[i].P99), pushes(f.PushByQuestion[i]))
		})
	}
	line("all questions", func(f *readFigures) string { return "\t\t\t" + pushes(f.PushAsked) })
	line("nobody asks", func(f *readFigures) string { return "\t\t\t" + pushes(f.PushAlone) })
	return t.Flush()
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/rekindledb/rekindle/bench"
)

// demo shows in a minute what Rekindle is for: the ingester's binary gets a million series over remote
// write, is killed with SIGKILL, started again and queried. Prometheus's TSDB then does the same, in process.
func demo(ctx context.Context, args []string) error {
	m := &measurement{show: newProgress(), s: spec{Scrapes: 8, Writers: 8, Request: 2000, Workload: bench.Params{Seed: 1}}}
	fs := flag.NewFlagSet("ingestbench demo", flag.ContinueOnError)
	fs.IntVar(&m.s.Workload.Series, "series", 1_000_000, "series to write")
	fs.IntVar(&m.s.Scrapes, "scrapes", m.s.Scrapes, "samples of each")
	fs.StringVar(&m.binary, "ingester", beside("ingester"), "the ingester's binary")
	dir := fs.String("dir", "", "where to put data (default: a temporary directory)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if m.s.Scrapes < 1 {
		return errors.New("-scrapes must be at least 1")
	}
	return inDirectory(*dir, func(dir string) error {
		m.dir = dir
		if err := m.prepare(); err != nil {
			return err
		}
		fmt.Println(thisMachine())
		fmt.Printf("%d series with 10 labels, %d samples of each\n\n", m.w.Series(), m.s.Scrapes)
		ours, err := m.demoRekindle(ctx)
		if err != nil {
			return err
		}
		theirs, err := m.demoPrometheus(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("\n%-28s %12s %12s\n", "", "Rekindle", "Prometheus")
		fmt.Printf("%-28s %12d %12d\n", "samples sent", m.samples(), m.samples())
		fmt.Printf("%-28s %12d %12d\n", "samples found after kill -9", ours.found, theirs.found)
		fmt.Printf("%-28s %10.2f s %10.2f s\n", "ready after", ours.ready, theirs.ready)
		if ours.found != m.samples() || theirs.found != m.samples() {
			return errors.New("samples are missing")
		}
		return nil
	})
}

// outcome is what the demo says of a system.
type outcome struct {
	ready float64 // seconds
	found int     // samples
}

// samples is how many are sent.
func (m *measurement) samples() int { return m.w.Series() * m.s.Scrapes }

func (m *measurement) demoRekindle(ctx context.Context) (o outcome, err error) {
	s, err := newServer(m.binary, m.dir)
	if err != nil {
		return o, err
	}
	if _, err := s.start(ctx); err != nil {
		return o, err
	}
	defer func() { s.kill() }()
	begin := time.Now()
	if err := newStream(m.w, m.s).run(ctx, s, m.s.Scrapes, 0, func(done float64) { m.show.set("Rekindle", "remote write 1.0 over HTTP", done) }); err != nil {
		return o, err
	}
	took := time.Since(begin).Seconds()
	m.say("Rekindle    took %d samples over remote write in %.1f s, %.2f million a second", m.samples(), took, float64(m.samples())/took/1e6)
	s.kill()
	m.say("Rekindle    was killed by SIGKILL")
	if o.ready, err = s.start(ctx); err != nil {
		return o, err
	}
	m.say("Rekindle    is ready %.2f s after its start", o.ready)
	begin = time.Now()
	if o.found, err = m.compare(ctx, s, m.s.Scrapes); err != nil {
		return o, err
	}
	m.say("Rekindle    answers %d PromQL queries over them all in %.1f s", 2*len(m.names()), time.Since(begin).Seconds())
	return o, nil
}

func (m *measurement) demoPrometheus(ctx context.Context) (o outcome, err error) {
	s := m.spec(prometheus, "prometheus")
	loaded, err := m.loadAndKill(ctx, "Prometheus", s)
	if err != nil {
		return o, err
	}
	m.say("Prometheus  took them through its Go API, without HTTP, in %.1f s", loaded.Create.Wall+loaded.Append.Wall)
	m.say("Prometheus  was killed by SIGKILL")
	r, _, err := m.recover(ctx, "Prometheus", s)
	if err != nil {
		return o, err
	}
	m.say("Prometheus  is ready %.2f s after its start", r.Seconds)
	return outcome{ready: r.Seconds, found: r.Found.Samples}, nil
}

func (m *measurement) say(format string, args ...any) {
	m.show.clear()
	fmt.Printf("%5.1f s  %s\n", time.Since(m.show.began).Seconds(), fmt.Sprintf(format, args...))
}

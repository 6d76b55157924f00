package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

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
		fmt.Printf("\n%-28s %14s %14s\n", "", "Rekindle", "Prometheus")
		fmt.Printf("%-28s %12.2f s %12.2f s\n", "ready after kill -9", ours, theirs)
		return nil
	})
}

func (m *measurement) demoRekindle(ctx context.Context) (ready float64, err error) {
	s, err := newServer(m.binary, m.dir)
	if err != nil {
		return 0, err
	}
	if _, err := s.start(ctx); err != nil {
		return 0, err
	}
	defer func() { s.kill() }()
	samples := m.w.Series() * m.s.Scrapes
	begin := time.Now()
	if err := s.load(ctx, m.w, m.s, 0, m.s.Scrapes, func(done float64) { m.show.set("Rekindle", "remote write 1.0 over HTTP", done) }); err != nil {
		return 0, err
	}
	m.say("Rekindle    took %d samples over remote write in %.1f s, %.2f million a second", samples, time.Since(begin).Seconds(), float64(samples)/time.Since(begin).Seconds()/1e6)
	s.kill()
	m.say("Rekindle    was killed by SIGKILL")
	if ready, err = s.start(ctx); err != nil {
		return 0, err
	}
	m.say("Rekindle    is ready %.2f s after its start", ready)
	return ready, m.demoQueries(ctx, s)
}

// demoQueries asks for what should be there in PromQL, metric by metric. The values are whole numbers, so
// that their sum is exact and every single one counts.
func (m *measurement) demoQueries(ctx context.Context, s *server) error {
	want := map[string]float64{}
	last := m.s.Scrapes - 1
	_ = m.w.Feeder().Each(last, 0, m.w.Series(), false, func(_ int, l labels.Labels, _ int64, v float64) error {
		want[l.Get(model.MetricNameLabel)] += v
		return nil
	})
	interval := m.w.Params().Interval
	at := m.w.Params().Start + int64(m.s.Scrapes)*interval.Milliseconds()
	window := fmt.Sprintf("[%dms]", int64(m.s.Scrapes)*interval.Milliseconds()+1)
	var series, samples, equal float64
	names := slices.Sorted(maps.Keys(want))
	begin := time.Now()
	for i, name := range names {
		m.show.set("Rekindle", "query", float64(i)/float64(len(names)))
		for _, q := range []struct {
			expr string
			sum  *float64
		}{{"count(" + name + ")", &series}, {"sum(count_over_time(" + name + window + "))", &samples}} {
			v, err := s.query(ctx, q.expr, at)
			if err != nil {
				return err
			}
			*q.sum += v
		}
		total, err := s.query(ctx, "sum("+name+")", at)
		if err != nil {
			return err
		}
		if total == want[name] {
			equal++
		}
	}
	m.say("Rekindle    answers %d PromQL queries in %.1f s: %.0f of %d series, %.0f of %d samples, %.0f of %d sums right",
		3*len(names), time.Since(begin).Seconds(), series, m.w.Series(), samples, m.w.Series()*m.s.Scrapes, equal, len(names))
	if int(series) != m.w.Series() || int(samples) != m.w.Series()*m.s.Scrapes || int(equal) != len(names) {
		return errors.New("something is missing")
	}
	return nil
}

func (m *measurement) demoPrometheus(ctx context.Context) (ready float64, err error) {
	s := m.spec(prometheus, "prometheus")
	loaded, err := m.loadAndKill(ctx, "Prometheus", s)
	if err != nil {
		return 0, err
	}
	wall := loaded.Create.Wall + loaded.Append.Wall
	m.say("Prometheus  took them through its Go API, without HTTP, in %.1f s", wall)
	m.say("Prometheus  was killed by SIGKILL")
	r, _, err := m.recover(ctx, "Prometheus", s)
	if err != nil {
		return 0, err
	}
	m.say("Prometheus  is ready %.2f s after its start, with all %d samples", r.Seconds, m.w.Series()*m.s.Scrapes)
	return r.Seconds, nil
}

func (m *measurement) say(format string, args ...any) {
	m.show.clear()
	fmt.Printf("%5.1f s  %s\n", time.Since(m.show.began).Seconds(), fmt.Sprintf(format, args...))
}

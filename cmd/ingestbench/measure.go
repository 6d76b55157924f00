package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rekindledb/rekindle/bench"
)

// figures are all that is measured of one system.
type figures struct {
	Loaded loadedEvent

	// Replay is a start from a log without images: the same log for both systems.
	Replay restart
	// Kill is a start after SIGKILL, with what the system does by default for a fast one.
	Kill restart
	// Stop is how long a clean stop took, in seconds, and Start a start after it.
	Stop  float64
	Start restart
}

// restart is one start on existing data.
type restart struct {
	Seconds float64 // from starting the process until it answers
	CPU     float64 // seconds, until then
	Memory  memory  // when it answers
	Found   bench.Found
}

// measurement is one run of everything.
type measurement struct {
	s    spec // what all children have in common
	w    *bench.Workload
	dir  string
	show *progress
	// binary is the ingester's, or empty.
	binary string

	// Log is what the first run wrote, which both systems replay.
	Log phase
	// LogCreate is the part of it that the first scrape took.
	LogCreate phase

	// What the ingester's binary takes for the same over remote write 1.0. Samples is 0 if it was not measured.
	HTTPCreate, HTTPAppend phase
	// The same over cortex.Ingester/Push.
	GRPCCreate, GRPCAppend phase

	Rekindle, Prometheus figures

	// variants says whether to measure them, Variants is what was measured.
	variants bool
	Variants []variant
}

func (m *measurement) spec(system, dir string) spec {
	s := m.s
	s.System, s.Dir = system, filepath.Join(m.dir, dir)
	return s
}

// run goes through all processes one after another; no two of them run at the same time.
func (m *measurement) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{m.sameLog, m.rekindle, m.overHTTP, m.overGRPC, m.prometheus, m.otherWorkloads} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	m.show.clear()
	return nil
}

// sameLog writes a log without images, kills the writer, and lets both systems replay the log.
func (m *measurement) sameLog(ctx context.Context) error {
	s := m.spec(rekindle, "log")
	loaded, err := m.loadAndKill(ctx, "Rekindle writes a log without images", s)
	if err != nil {
		return err
	}
	m.LogCreate, m.Log = loaded.Create, loaded.Append
	// Prometheus opens the directory's segments under its own, before Rekindle adds to them.
	theirs := m.spec(prometheus, "log-prometheus")
	if err := linkAll(filepath.Join(s.Dir, tenant, "wal"), filepath.Join(theirs.Dir, "wal")); err != nil {
		return err
	}
	if m.Rekindle.Replay, _, err = m.recover(ctx, "Rekindle replays it", s); err != nil {
		return err
	}
	if m.Prometheus.Replay, _, err = m.recover(ctx, "Prometheus replays it", theirs); err != nil {
		return err
	}
	return m.discard(s.Dir, theirs.Dir)
}

func (m *measurement) rekindle(ctx context.Context) error {
	s := m.spec(rekindle, "rekindle")
	s.Images = true
	loaded, err := m.loadAndKill(ctx, "Rekindle", s)
	if err != nil {
		return err
	}
	m.Rekindle.Loaded = *loaded
	if m.Rekindle.Kill, m.Rekindle.Stop, err = m.recover(ctx, "Rekindle after kill -9", s); err != nil {
		return err
	}
	if m.Rekindle.Start, _, err = m.recover(ctx, "Rekindle after a clean stop", s); err != nil {
		return err
	}
	return m.discard(s.Dir)
}

func (m *measurement) prometheus(ctx context.Context) error {
	s := m.spec(prometheus, "prometheus")
	loaded, err := m.loadAndKill(ctx, "Prometheus", s)
	if err != nil {
		return err
	}
	m.Prometheus.Loaded = *loaded
	s.Snapshot = true // there is none yet: the first start replays the log
	if m.Prometheus.Kill, m.Prometheus.Stop, err = m.recover(ctx, "Prometheus after kill -9", s); err != nil {
		return err
	}
	if m.Prometheus.Start, _, err = m.recover(ctx, "Prometheus after a clean stop", s); err != nil {
		return err
	}
	return m.discard(s.Dir)
}

// overHTTP measures what a sample takes from the socket to the log.
func (m *measurement) overHTTP(ctx context.Context) error {
	return m.toServer(ctx, "HTTP", func(*server) error { return nil }, &m.HTTPCreate, &m.HTTPAppend)
}

// overGRPC measures the same as a distributor sends it.
func (m *measurement) overGRPC(ctx context.Context) error {
	return m.toServer(ctx, "gRPC", (*server).overGRPC, &m.GRPCCreate, &m.GRPCAppend)
}

func (m *measurement) toServer(ctx context.Context, name string, change func(*server) error, create, appended *phase) error {
	if m.binary == "" {
		return nil
	}
	dir := filepath.Join(m.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	s, err := newServer(m.binary, dir)
	if err != nil {
		return err
	}
	if err := change(s); err != nil {
		return err
	}
	if _, err := s.start(ctx); err != nil {
		return err
	}
	defer s.kill()
	st := newStream(m.w, m.s)
	for _, part := range []struct {
		p         *phase
		from, end int
	}{{create, 0, 1}, {appended, 1, m.s.Scrapes}} {
		part.p.Samples = (part.end - part.from) * m.w.Series()
		begin, cpu := time.Now(), cpuTimeOf(s.pid)
		err := st.run(ctx, s, part.end, 0, func(done float64) { m.show.set("Rekindle", "remote write over "+name, done) })
		if err != nil {
			return err
		}
		part.p.Wall, part.p.CPU = time.Since(begin).Seconds(), cpuTimeOf(s.pid)-cpu
	}
	s.kill() // what it still writes would come back
	return m.discard(dir)
}

// variant is the memory that another workload needs, in the same number of scrapes.
type variant struct {
	Name                 string
	Rekindle, Prometheus loadedEvent
}

// otherWorkloads shows what memory depends on: how often label strings repeat, and how well values compress.
func (m *measurement) otherWorkloads(ctx context.Context) error {
	if !m.variants {
		return nil
	}
	for _, v := range []struct {
		name   string
		change func(*bench.Params)
	}{
		{"100 series a target", func(p *bench.Params) { p.SeriesPerTarget = 100 }},
		{"20 series a target", func(p *bench.Params) { p.SeriesPerTarget = 20 }},
		{"CPU seconds", func(p *bench.Params) { p.Values = bench.CPUSeconds }},
		{"random gauges", func(p *bench.Params) { p.Values = bench.Gauges }},
	} {
		one := variant{Name: v.name}
		for system, loaded := range map[string]*loadedEvent{rekindle: &one.Rekindle, prometheus: &one.Prometheus} {
			s := m.spec(system, "variant")
			s.Images = true
			v.change(&s.Workload)
			l, err := m.loadAndKill(ctx, system+" with "+v.name, s)
			if err != nil {
				return err
			}
			*loaded = *l
			if err := m.discard(s.Dir); err != nil {
				return err
			}
		}
		m.Variants = append(m.Variants, one)
	}
	return nil
}

func (m *measurement) loadAndKill(ctx context.Context, title string, s spec) (*loadedEvent, error) {
	s.Load = true
	p, err := start(ctx, m.show, title, s)
	if err != nil {
		return nil, err
	}
	loaded, err := p.loaded()
	if err != nil {
		return nil, err
	}
	return loaded, p.kill()
}

// recover starts a system on existing data, reads everything back, and stops it in good order.
func (m *measurement) recover(ctx context.Context, title string, s spec) (r restart, stopped float64, err error) {
	s.Check = true
	p, err := start(ctx, m.show, title, s)
	if err != nil {
		return r, 0, err
	}
	if r, err = p.ready(); err != nil {
		return r, 0, err
	}
	found, err := p.found()
	if err != nil {
		return r, 0, err
	}
	r.Found = *found
	if err := m.complete(*found); err != nil {
		return r, 0, p.failed(errors.Join(err, p.kill()))
	}
	stopped, err = p.stop()
	return r, stopped, err
}

// complete tells whether a system still has all that it took, and nothing else. A fast start that forgets
// samples is worth no figure.
func (m *measurement) complete(found bench.Found) error {
	series := m.w.Created(m.s.Scrapes - 1)
	samples := m.samples()
	if found.Series != series || found.Samples != samples || found.Wrong > 0 {
		return fmt.Errorf("found %d of %d series and %d of %d samples, %d are wrong (%s)",
			found.Series, series, found.Samples, samples, found.Wrong, found.FirstWrong)
	}
	return nil
}

// discard makes room; a run at full size leaves gigabytes.
func (m *measurement) discard(dirs ...string) error {
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// linkAll gives another directory the same files. Segments are never changed once they are finished, and
// the process that wrote the last one is dead.
func linkAll(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			if err := os.Link(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
				return fmt.Errorf("give Prometheus the log: %w", err)
			}
		}
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// cgroup restarts the ingester again and again with hardly more memory than it had before it was killed. Between a
// restart and the next kill it takes samples without a limit: what it had then is the measure of the next one.
func cgroup(ctx context.Context, args []string) error {
	m, fs := newMeasurement("cgroup", 1_000_000, 30)
	r := &cgroupRun{measurement: m}
	fs.IntVar(&r.restarts, "restarts", 20, "kills and restarts")
	fs.Float64Var(&r.share, "limit", 1.05, "limit of the group while a process starts, as a share of the memory before the kill that the kernel could not take back")
	out := fs.String("out", "", "path without extension for the report as text, JSON and page")
	return m.parse(fs, args, func() (err error) {
		if r.group, err = newMemoryGroup(); err != nil {
			return err
		}
		err = r.run(ctx)
		if err = errors.Join(err, r.group.remove()); err != nil {
			return err
		}
		m.show.clear()
		return r.report().publish(*out)
	})
}

type cgroupRun struct {
	*measurement
	group    *memoryGroup
	restarts int
	share    float64

	cases []cgroupCase
}

// cgroupCase is one start inside the limit.
type cgroupCase struct {
	Before  groupMemory
	Limit   int64
	Ready   float64
	Samples float64 // replayed
	Peak    int64   // of the group, page cache included, until ready
	// The greatest of what was seen every few milliseconds until ready.
	Needed, WorkingSet, Cache int64
	Resident                  int64 // peak, of the process
	Kills                     int64 // in the group so far
}

func (r *cgroupRun) run(ctx context.Context) error {
	scrapes := r.s.Scrapes + r.restarts + 2
	if err := r.placed(scrapes, 0); err != nil {
		return err
	}
	s, err := newServer(r.binary, r.dir)
	if err != nil {
		return err
	}
	s.args = r.group.enclose(s.args)
	if _, err = s.start(ctx); err != nil {
		return err
	}
	defer func() { s.kill() }()
	st := newStream(r.w, r.s)
	progress := func(phase string) func(float64) {
		return func(done float64) { r.show.set("in a memory cgroup", phase, done) }
	}
	if err := st.run(ctx, s, r.s.Scrapes, 0, progress("fill")); err != nil {
		return err
	}
	for i := range r.restarts {
		// A scrape more, so that each start has something else to replay.
		if err := st.run(ctx, s, r.s.Scrapes+i+1, 0, progress(fmt.Sprintf("restart %d", i+1))); err != nil {
			return err
		}
		c, err := r.restart(ctx, s)
		if err != nil {
			return fmt.Errorf("restart %d of %d within %d MB, of %d MB before: %w", i+1, r.restarts, c.Limit>>20, c.Before.needed()>>20, err)
		}
		r.cases = append(r.cases, c)
	}
	if found, err := r.compare(ctx, s, r.s.Scrapes+r.restarts); err != nil || found != (r.s.Scrapes+r.restarts)*r.w.Series() {
		return fmt.Errorf("%d samples of %d are there: %w", found, (r.s.Scrapes+r.restarts)*r.w.Series(), err)
	}
	return nil
}

func (r *cgroupRun) restart(ctx context.Context, s *server) (c cgroupCase, err error) {
	if c.Before, err = r.group.memory(); err != nil {
		return c, err
	}
	c.Limit = int64(r.share * float64(c.Before.needed()))
	s.kill()
	if err := r.group.limit(c.Limit); err != nil {
		return c, err
	}
	r.group.resetPeak()
	var watching sync.WaitGroup
	stop := make(chan struct{})
	watching.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			if m, err := r.group.memory(); err == nil {
				c.Needed, c.WorkingSet, c.Cache = max(c.Needed, m.needed()), max(c.WorkingSet, m.WorkingSet), max(c.Cache, m.Cache)
			}
		}
	})
	c.Ready, err = s.start(ctx)
	close(stop)
	watching.Wait()
	if err != nil {
		return c, err
	}
	c.Resident = memoryOf(s.pid).Peak
	values, err := s.metrics(ctx)
	c.Samples = values["rekindle_recovery_samples"]
	if err != nil {
		return c, err
	}
	if c.Peak, err = r.group.peak(); err != nil {
		return c, err
	}
	if c.Kills, err = r.group.kills(); err != nil {
		return c, err
	}
	return c, r.group.limit(noLimit)
}

func (r *cgroupRun) report() *report {
	rep := newReport(fmt.Sprintf("Restarts at %d series in a memory cgroup", r.w.Series()))
	rep.Data = r.cases
	mb := func(n int64) string { return strconv.FormatInt(n/1e6, 10) }
	version := "2"
	if r.group.v1 {
		version = "1"
	}
	rep.note("Control groups of version %s. From the kill until the next process is ready, the group's limit is %v of what it had before without page cache, which the kernel can take back.", version, r.share)
	rep.note("The page cache of what is written and read is charged to the group, and taken back when the limit is near: the peak of the group is the limit sooner or later, whatever the process does. " +
		"What the process needs is the rest, and its own peak of resident memory. After the last start every sample was there.")
	g := grid{Title: "Starts, in MB", Columns: []string{"", "before", "its page cache", "its working set", "limit", "ready, s", "samples replayed", "peak of the group", "without page cache", "of before", "working set", "page cache", "peak resident", "killed for memory"}}
	for i, c := range r.cases {
		needed := c.Before.needed()
		g.add(strconv.Itoa(i+1), mb(needed), mb(c.Before.Cache), mb(c.Before.WorkingSet), mb(c.Limit), fmt.Sprintf("%.3f", c.Ready), strconv.Itoa(int(c.Samples)), mb(c.Peak), mb(c.Needed), figure(float64(c.Needed)/float64(needed)), mb(c.WorkingSet), mb(c.Cache), mb(c.Resident), strconv.FormatInt(c.Kills, 10))
	}
	rep.Tables = append(rep.Tables, g)
	return rep
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// restarts measures what a restart of the ingester costs: killed in the middle of pushes at full speed, twice, and at the
// pace of scrapes, stopped in good order under load, and with a cold page cache. After each one everything that
// was acknowledged is counted, what was not is sent again, and then every sample must be there once.
func restarts(ctx context.Context, args []string) error {
	m, fs := newMeasurement("restart", 1_000_000, 60)
	cold := fs.Bool("cold", true, "start once with a cold page cache; as root, it empties that of the whole machine")
	paced := fs.Int("paced", 4, "scrapes at the pace of -interval, after those at full speed")
	out := fs.String("out", "", "path without extension for the report as text, JSON and page")
	return m.parse(fs, args, func() error {
		if *paced < 1 {
			return errors.New("-paced must be at least 1: a kill at the pace of scrapes is part of the measurement")
		}
		m.s.Scrapes += fastAgain + 2**paced
		if err := m.prepare(); err != nil {
			return err
		}
		r := &restartRun{measurement: m, fast: m.s.Scrapes - fastAgain - 2**paced, paced: *paced, emptyCache: *cold}
		if err := r.run(ctx); err != nil {
			return err
		}
		return r.report().publish(*out)
	})
}

// fastAgain is how many more scrapes come at full speed before the second kill there.
const fastAgain = 10

// newMeasurement makes one with the flags that commands over HTTP share.
func newMeasurement(command string, series, scrapes int) (*measurement, *flag.FlagSet) {
	m := &measurement{show: newProgress()}
	fs := flag.NewFlagSet("ingestbench "+command, flag.ContinueOnError)
	p := &m.s.Workload
	p.Seed = 1
	fs.IntVar(&p.Series, "series", series, "series")
	fs.IntVar(&m.s.Scrapes, "scrapes", scrapes, "scrapes to send at full speed")
	fs.DurationVar(&p.Interval, "interval", 15*time.Second, "time between two scrapes")
	fs.IntVar(&m.s.Writers, "writers", 8, "requests in flight")
	fs.IntVar(&m.s.Request, "request", 500, "samples in a request")
	fs.StringVar(&m.binary, "ingester", beside("ingester"), "the ingester's binary")
	fs.StringVar(&m.dir, "dir", "", "where to put data, on the disk to be measured (default: a temporary directory)")
	return m, fs
}

// parse reads the flags, and calls do with a directory of the run's own.
func (m *measurement) parse(fs *flag.FlagSet, args []string, do func() error) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	if m.s.Scrapes < 1 || m.s.Writers < 1 || m.s.Request < 1 {
		return errors.New("-scrapes, -writers and -request must be at least 1")
	}
	return inDirectory(m.dir, func(dir string) error {
		m.dir = dir
		return do()
	})
}

type restartRun struct {
	*measurement
	fast, paced int // scrapes
	emptyCache  bool

	server *server
	stream *stream
	events []restartEvent
	// Pushes at the pace of scrapes, before and after the kill.
	before, after []push
}

// restartEvent is one stop and the start after it.
type restartEvent struct {
	Name     string
	Stop     float64 // seconds that a clean stop took; 0: it was killed
	Ready    float64 // seconds from the start of the process to ready
	Forecast float64 // what the process said just before
	CPU      float64 // seconds, until ready
	Metrics  map[string]float64
	Acked    int // samples, before
	Found    int // of them, and of those sent without an answer
	Sent     int
}

func (r *restartRun) run(ctx context.Context) (err error) {
	if r.server, err = newServer(r.binary, r.dir); err != nil {
		return err
	}
	if _, err = r.server.start(ctx); err != nil {
		return err
	}
	defer func() { r.server.kill() }()
	r.stream = newStream(r.w, r.s)
	for _, step := range []func(context.Context) error{r.atFullSpeed, r.atFullSpeedAgain, r.atPace, r.cold, r.cleanly} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	r.show.clear()
	return nil
}

func (r *restartRun) atFullSpeed(ctx context.Context) error {
	return r.killAtFullSpeed(ctx, "killed at full speed", r.fast)
}

// atFullSpeedAgain shows how much of the time before was the machine's: what memory the server takes now was in use a
// moment ago, while a virtual machine may have had to ask its host for that of the first start.
func (r *restartRun) atFullSpeedAgain(ctx context.Context) error {
	return r.killAtFullSpeed(ctx, "killed at full speed again", r.fast+fastAgain)
}

func (r *restartRun) killAtFullSpeed(ctx context.Context, name string, end int) error {
	err := r.pushUntil(ctx, end, 0, func() error { r.server.kill(); return nil })
	if err != nil {
		return err
	}
	return r.restart(ctx, restartEvent{Name: name}, end)
}

func (r *restartRun) atPace(ctx context.Context) error {
	r.stream.keep = true
	end := r.fast + fastAgain + r.paced
	err := r.pushUntil(ctx, end, r.w.Params().Interval, func() error { r.server.kill(); return nil })
	if err != nil {
		return err
	}
	r.before = r.stream.take()
	e := restartEvent{Name: "killed at the pace of scrapes"}
	if err := r.start(ctx, &e); err != nil {
		return err
	}
	// At once: what queries leave behind must not be in the figures of the first minute.
	if err := r.stream.run(ctx, r.server, r.s.Scrapes-1, r.w.Params().Interval, r.progress("pushes at the pace of scrapes")); err != nil {
		return err
	}
	r.after = r.stream.take()
	r.stream.keep = false
	e.Acked, e.Sent = int(r.stream.acked.Load()), int(r.stream.acked.Load())
	return r.examine(ctx, e, r.s.Scrapes-1)
}

// cold restarts with nothing of the data in the page cache.
func (r *restartRun) cold(ctx context.Context) error {
	if !r.emptyCache {
		return nil
	}
	forecast := r.forecast(ctx)
	r.server.kill()
	if err := dropCaches(); err != nil {
		r.say("no start with a cold page cache: %v", err)
		_, err := r.server.start(ctx)
		return err
	}
	return r.restart(ctx, restartEvent{Name: "killed, page cache cold", Forecast: forecast}, r.s.Scrapes-1)
}

// cleanly stops the server while pushes go on.
func (r *restartRun) cleanly(ctx context.Context) error {
	e := restartEvent{Name: "stopped cleanly under load"}
	end := r.s.Scrapes
	err := r.pushUntil(ctx, end, 0, func() (err error) {
		e.Stop, err = r.server.stop()
		return err
	})
	if err != nil {
		return err
	}
	return r.restart(ctx, e, end)
}

// pushUntil pushes what is before scrape end, and calls cut in the middle of the last scrape.
func (r *restartRun) pushUntil(ctx context.Context, end int, pace time.Duration, cut func() error) error {
	acked := int64(end)*int64(r.w.Series()) - int64(r.w.Series())/2
	done := make(chan error, 1)
	go func() { done <- r.stream.run(ctx, r.server, end, pace, r.progress("remote write over HTTP")) }()
	for r.stream.acked.Load() < acked {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
			return cut() // the pushes were too few to be caught in the middle of them
		case <-time.After(time.Millisecond):
		}
	}
	err := cut()
	<-done // it fails, or has just sent the last one
	return err
}

func (r *restartRun) progress(phase string) func(float64) {
	return func(done float64) { r.show.set("Rekindle", phase, done) }
}

func (r *restartRun) forecast(ctx context.Context) float64 {
	values, err := r.server.metrics(ctx)
	if err != nil {
		return 0
	}
	return values["rekindle_restart_forecast_seconds"]
}

// restart starts the server, and examines it.
func (r *restartRun) restart(ctx context.Context, e restartEvent, end int) error {
	if err := r.start(ctx, &e); err != nil {
		return err
	}
	e.Acked, e.Sent = int(r.stream.acked.Load()), r.stream.sent()
	return r.examine(ctx, e, end)
}

func (r *restartRun) start(ctx context.Context, e *restartEvent) (err error) {
	if e.Ready, err = r.server.start(ctx); err != nil {
		return err
	}
	e.CPU = cpuTimeOf(r.server.pid)
	e.Metrics, err = r.server.figures(ctx)
	return err
}

// examine counts, sends the rest of the scrapes before end and compares everything.
func (r *restartRun) examine(ctx context.Context, e restartEvent, end int) (err error) {
	if e.Found, err = r.count(ctx, r.server, end); err != nil {
		return err
	}
	r.say("%-32s ready after %.3f s; %d samples acknowledged, %d sent, %d found", e.Name, e.Ready, e.Acked, e.Sent, e.Found)
	if e.Found < e.Acked || e.Found > e.Sent {
		return fmt.Errorf("%s: %d samples were acknowledged and %d sent, %d are there", e.Name, e.Acked, e.Sent, e.Found)
	}
	r.events = append(r.events, e)
	if err := r.stream.run(ctx, r.server, end, 0, r.progress("the rest of the scrape")); err != nil {
		return err
	}
	if found, err := r.compare(ctx, r.server, end); err != nil || found != end*r.w.Series() {
		return fmt.Errorf("%s: when everything had been sent again, %d of %d samples are there: %w", e.Name, found, end*r.w.Series(), err)
	}
	return nil
}

func (r *restartRun) report() *report {
	rep := newReport(fmt.Sprintf("Restarts at %d series", r.w.Series()))
	rep.Data = r.events
	rep.note("%d and %d scrapes at full speed, then %d at a pace of %v, %d writers, %d samples a request, default flags. Each stop comes in the middle of a scrape while pushes go on. "+
		"After each start all samples are counted; what had no answer is sent again; then every sample of the scrapes is there, once, and every metric adds up to what was sent. "+
		"(At the pace of scrapes pushes go on first, to see the minute behind a restart.)",
		r.fast, fastAgain, 2*r.paced, r.w.Params().Interval, r.s.Writers, r.s.Request)
	g := grid{Title: "From the start of the process to ready, in seconds", Columns: []string{"", "stop", "ready", "forecast", "CPU", "images", "log", "image MB", "samples replayed", "acknowledged", "found", "sent"}}
	for _, e := range r.events {
		v := func(name string) float64 { return e.Metrics[name] }
		g.add(e.Name, figure(e.Stop), figure(e.Ready), figure(e.Forecast), figure(e.CPU),
			figure(v("rekindle_recovery_images_seconds")), figure(v("rekindle_recovery_log_seconds")), figure(v("rekindle_recovery_image_bytes")/1e6),
			strconv.Itoa(int(v("rekindle_recovery_samples"))), strconv.Itoa(e.Acked), strconv.Itoa(e.Found), strconv.Itoa(e.Sent))
	}
	l := grid{Title: "Pushes at the pace of scrapes, in ms from when they were due", Columns: latencyColumns}
	l.add(latencies("before the kill", r.before)...)
	l.add(latencies("after the restart", r.after)...)
	rep.Tables = append(rep.Tables, g, l)
	rep.Charts = append(rep.Charts, chart{Title: "Pushes at the pace of scrapes", X: "s since the first", Y: "ms", Log: true, Curves: []curve{
		sinceFirst("before the kill", r.before), sinceFirst("after the restart", r.after),
	}})
	return rep
}

// sinceFirst is a latencyCurve that begins with the first push.
func sinceFirst(name string, pushes []push) curve {
	if len(pushes) == 0 {
		return curve{Name: name}
	}
	return latencyCurve(name, pushes[0].at, pushes)
}

// dropCaches empties the page cache, which only root may ask for.
func dropCaches() error {
	return errors.Join(syncAll(), os.WriteFile(filepath.FromSlash("/proc/sys/vm/drop_caches"), []byte("1"), 0))
}

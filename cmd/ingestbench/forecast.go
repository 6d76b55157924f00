package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// forecast holds what the ingester says a restart would take against what it takes: it is killed while series are made
// and while samples come in, with few and with many series, and with images taken often and rarely.
func forecast(ctx context.Context, args []string) error {
	m := &measurement{show: newProgress()}
	fs := flag.NewFlagSet("ingestbench forecast", flag.ContinueOnError)
	f := &forecastRun{measurement: m}
	sizes := fs.String("sizes", "20000,100000,300000,1000000", "numbers of series, a fresh directory each")
	fs.IntVar(&f.restarts, "restarts", 30, "restarts, spread over the sizes")
	fs.IntVar(&m.s.Writers, "writers", 8, "requests in flight")
	fs.IntVar(&m.s.Request, "request", 500, "samples in a request")
	fs.StringVar(&m.binary, "ingester", beside("ingester"), "the ingester's binary")
	fs.StringVar(&m.dir, "dir", "", "where to put data (default: a temporary directory)")
	fs.Uint64Var(&m.s.Workload.Seed, "seed", 1, "seed of the workload and of the moments of the kills")
	out := fs.String("out", "", "path without extension for the report as text, JSON and page")
	m.s.Scrapes = 400 // more than are sent
	return m.parse(fs, args, func() error {
		for text := range strings.SplitSeq(*sizes, ",") {
			n, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("-sizes: %w", err)
			}
			f.sizes = append(f.sizes, n)
		}
		f.rng = rand.New(rand.NewPCG(m.s.Workload.Seed, 0))
		for i, n := range f.sizes {
			if err := f.size(ctx, n, (f.restarts+i)/len(f.sizes)); err != nil {
				return err
			}
		}
		m.show.clear()
		return f.report().publish(*out)
	})
}

type forecastRun struct {
	*measurement
	sizes    []int
	restarts int
	rng      *rand.Rand
	cases    []forecastCase
}

// forecastCase is one kill and the start after it.
type forecastCase struct {
	Series   int
	Target   time.Duration // -ingester.restart-target
	Samples  int           // acknowledged so far
	Forecast float64
	Ready    float64
	Work     map[string]float64 // the start's own figures
}

// error is by how much the forecast was off, in seconds and as a share of the restart.
func (c *forecastCase) error() (seconds, share float64) {
	d := math.Abs(c.Forecast - c.Ready)
	return d, d / c.Ready
}

func (f *forecastRun) size(ctx context.Context, series, restarts int) error {
	f.s.Workload.Series, f.s.Workload.Start = series, 0
	if err := f.prepare(); err != nil {
		return err
	}
	dir := filepath.Join(f.dir, strconv.Itoa(series))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	st := newStream(f.w, f.s)
	for i := range restarts {
		target := []time.Duration{300 * time.Millisecond, time.Second, 100 * time.Millisecond, 3 * time.Second}[i%4]
		s, err := newServer(f.binary, dir, "-ingester.restart-target="+target.String())
		if err != nil {
			return err
		}
		ready, err := s.start(ctx)
		if err != nil {
			return err
		}
		if i > 0 {
			f.ended(ctx, s, ready)
		}
		// Some scrapes more; the first time in the middle of making the series.
		more := 0.6
		if i > 0 {
			more = 0.5 + f.rng.Float64()*min(8, 4e6/float64(series))
		}
		c, err := f.pushAndKill(ctx, s, st, st.acked.Load()+int64(more*float64(series)))
		if err != nil {
			return err
		}
		c.Target = target
		f.cases = append(f.cases, c)
	}
	s, err := newServer(f.binary, dir)
	if err != nil {
		return err
	}
	ready, err := s.start(ctx)
	if err != nil {
		return err
	}
	f.ended(ctx, s, ready)
	s.kill()
	return f.discard(dir)
}

// pushAndKill sends samples until enough are acknowledged, asks for the forecast and kills.
func (f *forecastRun) pushAndKill(ctx context.Context, s *server, st *stream, acked int64) (forecastCase, error) {
	done := make(chan error, 1)
	go func() {
		done <- st.run(ctx, s, f.s.Scrapes, 0, func(float64) { f.show.set("Rekindle", "forecast", float64(len(f.cases))/float64(f.restarts)) })
	}()
	for st.acked.Load() < acked {
		select {
		case err := <-done:
			s.kill()
			return forecastCase{}, fmt.Errorf("pushes ended early: %w", err)
		case <-time.After(time.Millisecond):
		}
	}
	values, err := s.metrics(ctx)
	s.kill()
	<-done
	return forecastCase{Series: f.w.Series(), Samples: int(st.acked.Load()), Forecast: values["rekindle_restart_forecast_seconds"]}, err
}

// ended completes the last case by the start that followed.
func (f *forecastRun) ended(ctx context.Context, s *server, ready float64) {
	c := &f.cases[len(f.cases)-1]
	c.Ready = ready
	c.Work, _ = s.figures(ctx) // without them the table has gaps
}

func (f *forecastRun) report() *report {
	r := newReport("What a restart was said to take, and what it took")
	r.Data = f.cases
	r.note("The ingester is killed by SIGKILL while samples come in, %d times, with different numbers of series and values of -ingester.restart-target. The forecast is "+
		"rekindle_restart_forecast_seconds right before. Each directory begins without any knowledge of the machine.", len(f.cases))
	g := grid{Title: "Restarts", Columns: []string{"series", "target", "image MB", "samples replayed", "series made", "images s", "log s", "rest s", "forecast s", "ready s", "off by"}}
	points := curve{Name: "restarts", Dots: true}
	worst := 0.0
	var off []float64 // in units of what is allowed
	for i := range f.cases {
		c := &f.cases[i]
		seconds, share := c.error()
		off = append(off, seconds/max(0.2*c.Ready, 0.05))
		worst = max(worst, c.Ready)
		g.add(strconv.Itoa(c.Series), c.Target.String(), figure(c.Work["rekindle_recovery_image_bytes"]/1e6), figure(c.Work["rekindle_recovery_samples"]), figure(c.Work["rekindle_recovery_series"]),
			figure(c.Work[`rekindle_restart_last_seconds{phase="images"}`]), figure(c.Work[`rekindle_restart_last_seconds{phase="log"}`]), figure(c.Work[`rekindle_restart_last_seconds{phase="rest"}`]),
			fmt.Sprintf("%.3f", c.Forecast), fmt.Sprintf("%.3f", c.Ready), fmt.Sprintf("%.0f ms, %.0f %%", seconds*1e3, share*100))
		points.Points = append(points.Points, [2]float64{c.Ready, c.Forecast})
	}
	slices.Sort(off)
	r.note("Allowed is an error of 20 %% or 50 ms, the larger. The 90th percentile is %.2f of that, the median %.2f, the worst %.2f; %d of %d are within.",
		quantile(off, .9), quantile(off, .5), quantile(off, 1), within(off), len(off))
	r.Tables = append(r.Tables, g, fitted(f.cases, runtime.NumCPU()))
	r.Charts = append(r.Charts, chart{
		Title: "Forecast against reality", X: "ready after, s", Y: "forecast, s",
		Curves: []curve{points, {Name: "as said", Points: [][2]float64{{0, 0}, {worst, worst}}}},
	})
	return r
}

func within(off []float64) (n int) {
	for _, v := range off {
		if v <= 1 {
			n++
		}
	}
	return n
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rekindledb/rekindle/bench"
)

// images measures what keeping restarts short costs while the ingester runs: how many bytes images take, how evenly
// they are written, and what pushes notice of them.
func images(ctx context.Context, args []string) error {
	m, fs := newMeasurement("images", 1_000_000, 8)
	r := &imagesRun{measurement: m}
	targets := fs.String("targets", "300ms,1s,5s", "values of -ingester.restart-target to measure the rate of writing for")
	fs.DurationVar(&r.rateFor, "rate-for", 4*time.Minute, "how long to measure the rate; 0 leaves it out")
	fs.DurationVar(&r.latencyFor, "latency-for", time.Minute, "how long to measure pushes, each time; 0 leaves it out")
	fs.DurationVar(&r.pace, "pace", 15*time.Second, "how long a scrape takes")
	touched := fs.Bool("touched", true, "measure the bytes of an image when 1, 10 and 100 % of the series got a sample")
	out := fs.String("out", "", "path without extension for the report as text, JSON and page")
	return m.parse(fs, args, func() error {
		for text := range strings.SplitSeq(*targets, ",") {
			d, err := time.ParseDuration(text)
			if err != nil {
				return fmt.Errorf("-targets: %w", err)
			}
			r.targets = append(r.targets, d)
		}
		r.rep = newReport(fmt.Sprintf("Images at %d series", m.s.Workload.Series))
		if *touched {
			if err := r.touched(ctx); err != nil {
				return err
			}
		}
		if r.rateFor > 0 {
			if err := r.rates(ctx); err != nil {
				return err
			}
		}
		if r.latencyFor > 0 {
			if err := r.latency(ctx); err != nil {
				return err
			}
		}
		m.show.clear()
		return r.rep.publish(*out)
	})
}

type imagesRun struct {
	*measurement
	targets             []time.Duration
	rateFor, latencyFor time.Duration
	pace                time.Duration
	rep                 *report
}

// serve starts an ingester in a folder of its own.
func (m *measurement) serve(ctx context.Context, name string, flags ...string) (*server, error) {
	dir := filepath.Join(m.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	s, err := newServer(m.binary, dir, flags...)
	if err != nil {
		return nil, err
	}
	_, err = s.start(ctx)
	return s, err
}

// rates has ingesters with different restart targets take the same samples at the pace of scrapes, all at the same time.
func (r *imagesRun) rates(ctx context.Context) error {
	scrapes := int(r.rateFor/r.pace) + 1
	if err := r.placed(r.s.Scrapes+scrapes, 0); err != nil {
		return err
	}
	type one struct {
		target  time.Duration
		s       *server
		st      *stream
		samples []watched
		err     error
	}
	all := make([]one, len(r.targets))
	for i := range all {
		o := &all[i]
		o.target = r.targets[i]
		var err error
		if o.s, err = r.serve(ctx, "rate-"+o.target.String(), "-ingester.restart-target="+o.target.String()); err != nil {
			return err
		}
		defer o.s.kill()
		o.st = newStream(r.w, r.s)
		if err := o.st.run(ctx, o.s, r.s.Scrapes, 0, r.progress("fill for "+o.target.String())); err != nil {
			return err
		}
	}
	done := make(chan int)
	for i := range all {
		go func() {
			o := &all[i]
			w := startWatch(ctx, o.s, time.Second)
			o.err = o.st.run(ctx, o.s, r.s.Scrapes+scrapes, r.pace, r.progress("rates"))
			o.samples = w.stop()
			done <- i
		}()
	}
	for range all {
		<-done
	}
	g := grid{Title: fmt.Sprintf("Images, a scrape every %v, MB/s", r.pace), Columns: append([]string{"restart target", "images", "highest 10 s", "over mean", "log", "tail, samples", "forecast, s"}, lockColumns...)}
	c := chart{Title: "Images written, windows of 10 s", X: "s", Y: "MB/s"}
	for i := range all {
		o := &all[i]
		if o.err != nil {
			return fmt.Errorf("restart target %v: %w", o.target, o.err)
		}
		// The metric grows when an image is published; what else is written are answers to pushes, which are empty.
		ofImages := func(w watched) float64 { return float64(w.Calls) - w.Metrics[metricLogBytes] }
		o.samples = sinceImages(o.samples)
		points, mean, most := rate(o.samples, 10*time.Second, ofImages)
		_, log, _ := rate(o.samples, 10*time.Second, func(w watched) float64 { return w.Metrics[metricLogBytes] })
		last := o.samples[len(o.samples)-1].Metrics
		over := 0.0
		if mean > 0 {
			over = most / mean
		}
		g.add(append([]string{
			o.target.String(), figure(mean), figure(most), figure(over), figure(log),
			strconv.Itoa(int(last[metricTail])), fmt.Sprintf("%.3f", last[metricForecast]),
		}, locks(last)...)...)
		c.Curves = append(c.Curves, curve{Name: o.target.String(), Points: points})
	}
	r.rep.note("Rates: %d scrapes at full speed, then %d at a pace of %v, the ingesters beside each other; measured during the latter, from the first image on.", r.s.Scrapes, scrapes, r.pace)
	r.rep.Tables, r.rep.Charts = append(r.rep.Tables, g), append(r.rep.Charts, c)
	return nil
}

// sinceImages leaves out what was before the first image: in one cycle each stripe is imaged once, and the first one
// only begins when the tails have grown.
func sinceImages(samples []watched) []watched {
	for i := 1; i < len(samples); i++ {
		if samples[i].Metrics[metricImages] > samples[0].Metrics[metricImages] {
			return samples[i:]
		}
	}
	return samples
}

func (r *imagesRun) progress(phase string) func(float64) {
	return func(done float64) { r.show.set("images", phase, done) }
}

// placed makes the workload begin so that it has so many scrapes behind it now, and a block range ends behind scrape
// boundary, if that is above 0.
func (m *measurement) placed(scrapes, boundary int) error {
	s := m.s.Scrapes
	m.s.Scrapes = scrapes
	if err := m.prepare(); err != nil {
		return err
	}
	m.s.Scrapes = s
	p := m.w.Params()
	if boundary > 0 {
		after := time.Duration(scrapes-boundary) * p.Interval
		p.Start = time.Now().Add(-after).Truncate(2*time.Hour).UnixMilli() - int64(boundary)*p.Interval.Milliseconds()
		var err error
		m.w, err = bench.New(p)
		return err
	}
	return nil
}

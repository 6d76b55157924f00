package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// peers sends the same stream to our ingester and to others, one after another, and shows side by side what it cost them
// and what a kill did to them.
func peers(ctx context.Context, args []string) error {
	r, fs := newPeersRun("peers", "100000,300000,1000000", 20)
	prometheus := fs.String("prometheus", beside("prometheus"), "Prometheus's binary, of bench/interop; left out if it is not there")
	cortex := fs.String("cortex", beside("cortex"), "Cortex's binary, of bench/interop/cortex; left out if it is not there")
	vmURL := fs.String("victoriametrics-url", "", "URL of a VictoriaMetrics that runs on this machine and is empty")
	vmPID := fs.Int("victoriametrics-pid", 0, "its process id: it is killed, and started again by its own command line")
	out := fs.String("out", "", "path without extension for the report as text, JSON and page")
	return r.parse(fs, args, func() error {
		all := []peer{rekindleOver(r.binary, "HTTP"), rekindleOver(r.binary, "gRPC")}
		for _, other := range []struct {
			binary string
			make   func(string) peer
		}{{*prometheus, prometheusServer}, {*cortex, cortexServer}} {
			path, err := filepath.Abs(other.binary)
			if err != nil {
				return err
			}
			if _, err := os.Stat(path); err != nil {
				r.say("left out: %v", err)
				continue
			}
			all = append(all, other.make(path))
		}
		err := r.each(ctx, func(last bool) []peer {
			if *vmURL != "" && last { // it keeps what it has got
				return append(all[:len(all):len(all)], running("VictoriaMetrics, HTTP", strings.TrimSuffix(*vmURL, "/"), *vmPID))
			}
			return all
		})
		if err != nil {
			return err
		}
		r.show.clear()
		return r.report().publish(*out)
	})
}

// newPeersRun makes one, with the flags that decide what is sent.
func newPeersRun(command, sizes string, scrapes int) (*peersRun, *flag.FlagSet) {
	r := &peersRun{measurement: &measurement{show: newProgress()}}
	fs := flag.NewFlagSet("ingestbench "+command, flag.ContinueOnError)
	r.s.Workload.Seed = 1
	fs.StringVar(&r.sizes, "sizes", sizes, "numbers of series")
	fs.IntVar(&r.s.Scrapes, "scrapes", scrapes, "scrapes at full speed; the first makes the series")
	fs.IntVar(&r.paced, "paced", 6, "scrapes after them at -pace, for the time that pushes take")
	fs.DurationVar(&r.pace, "pace", 5*time.Second, "how long each of these takes")
	fs.DurationVar(&r.s.Workload.Interval, "interval", 15*time.Second, "time between the timestamps of two scrapes")
	fs.IntVar(&r.s.Writers, "writers", 8, "requests in flight")
	fs.IntVar(&r.s.Request, "request", 500, "samples in a request")
	fs.StringVar(&r.binary, "ingester", beside("ingester"), "our binary")
	fs.StringVar(&r.dir, "dir", "", "where to put data (default: a temporary directory)")
	return r, fs
}

// each measures all peers with each number of series.
func (r *peersRun) each(ctx context.Context, peers func(last bool) []peer) error {
	sizes := strings.Split(r.sizes, ",")
	for i, text := range sizes {
		series, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("-sizes: %w", err)
		}
		r.s.Workload.Series, r.s.Workload.Start = series, 0
		if err := r.placed(r.s.Scrapes+r.paced+1, 0); err != nil {
			return err
		}
		for _, p := range peers(i == len(sizes)-1) {
			c, err := r.measure(ctx, p)
			if err != nil {
				return fmt.Errorf("%s with %d series: %w", p.name, series, err)
			}
			r.cases = append(r.cases, c)
		}
	}
	return nil
}

type peersRun struct {
	*measurement
	sizes string
	paced int
	pace  time.Duration
	cases []peerCase
}

// peerCase is one peer with one number of series.
type peerCase struct {
	Name   string
	Series int

	Create, Append phase    // of the server's process
	Resident       int64    // when everything was sent
	Stream         streamed // if it has gRPC
	Pushes         []push
	Watched        []watched

	Ready     float64 // seconds after SIGKILL until it answers
	ReadyCPU  float64
	ReadyPeak int64
	// Samples that queries found when all but the last scrape had been sent, and after the start; and how many were
	// acknowledged at either moment.
	AckedBefore, FoundBefore, Acked, Found int

	Stop, Start float64 // seconds: SIGTERM until the end, and the start after it

	// Before and After are the server's own figures right before the kill and after it.
	Before, After map[string]float64
}

func (r *peersRun) measure(ctx context.Context, p peer) (c peerCase, err error) {
	c.Name, c.Series = p.name, r.w.Series()
	dir := filepath.Join(r.dir, "peer")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return c, err
	}
	s, err := p.make(dir)
	if err != nil {
		return c, err
	}
	if err := s.up(ctx); err != nil {
		return c, err
	}
	defer func() { s.kill() }()
	st := newStream(r.w, r.s)
	progress := func(phase string) func(float64) {
		return func(done float64) { r.show.set(p.name, phase, done) }
	}
	for _, part := range []struct {
		p    *phase
		end  int
		name string
	}{{&c.Create, 1, "new series"}, {&c.Append, r.s.Scrapes, "samples"}} {
		begin, cpu, acked := time.Now(), cpuTimeOf(s.pid), st.acked.Load()
		if err := st.run(ctx, s, part.end, 0, progress(part.name)); err != nil {
			return c, err
		}
		part.p.Wall, part.p.CPU, part.p.Samples = time.Since(begin).Seconds(), cpuTimeOf(s.pid)-cpu, int(st.acked.Load()-acked)
	}
	c.Resident = memoryOf(s.pid).Resident
	if s.grpc != "" {
		if c.Stream, err = s.measureStream(ctx); err != nil {
			return c, err
		}
		if c.Stream.Series != c.Series {
			return c, fmt.Errorf("a QueryStream of all series had %d of %d", c.Stream.Series, c.Series)
		}
	}
	st.keep = true
	w := startWatch(ctx, s, 200*time.Millisecond)
	err = st.run(ctx, s, r.s.Scrapes+r.paced, r.pace, progress("samples at a pace"))
	c.Watched, c.Pushes = w.stop(), st.take()
	if err != nil {
		return c, err
	}
	all := r.s.Scrapes + r.paced
	c.AckedBefore = int(st.acked.Load())
	if c.FoundBefore, err = r.count(ctx, s, all); err != nil {
		return c, err
	}
	if err := st.run(ctx, s, all+1, 0, progress("the last scrape")); err != nil {
		return c, err
	}
	c.Acked = int(st.acked.Load())
	if c.Before, err = s.figures(ctx); err != nil {
		return c, err
	}
	s.kill()
	if c.Ready, err = s.start(ctx); err != nil {
		return c, err
	}
	c.ReadyCPU, c.ReadyPeak = cpuTimeOf(s.pid), memoryOf(s.pid).Peak
	if c.After, err = s.figures(ctx); err != nil {
		return c, err
	}
	if c.Found, err = r.count(ctx, s, all+1); err != nil {
		return c, err
	}
	if c.Stop, err = s.stop(); err != nil {
		return c, err
	}
	if c.Start, err = s.start(ctx); err != nil {
		return c, err
	}
	r.say("%-22s %8d series: %.0f ns a sample, %.0f B a series, ready %.2f s after a kill, %d of %d samples there",
		p.name, c.Series, c.Append.cpuPerSample()*1e9, float64(c.Resident)/float64(c.Series), c.Ready, c.Found, c.Acked)
	s.kill()
	return c, r.discard(dir)
}

func (r *peersRun) report() *report {
	rep := newReport("Rekindle beside its peers, on the same stream")
	rep.note("%d scrapes as fast as each server takes them, then %d at %v each; %d samples a request, %d requests in flight, remote write 1.0 over HTTP or cortex.Ingester/Push over gRPC. "+
		"CPU and memory are those of the server's process, by /proc. Then a count of all samples by PromQL, one more scrape, SIGKILL right behind its last answer, a start, another count, SIGTERM, and another start. One after another on the same machine.",
		r.s.Scrapes, r.paced, r.pace, r.s.Request, r.s.Writers)
	g := grid{Title: "Taking samples in", Columns: []string{"", "series", "ns a new series", "ns a sample", "samples a second", "resident B a series"}}
	k := grid{Title: "Restarting", Columns: []string{"", "series", "ready after kill -9, s", "CPU, s", "peak MB", "samples before", "found", "acknowledged", "found after", "clean stop, s", "start after it, s"}}
	q := grid{Title: fmt.Sprintf("All chunks by QueryStream, the fastest of %d times", streamRounds), Columns: []string{"", "series", "s", "CPU, s", "MB"}}
	l := grid{Title: fmt.Sprintf("Pushes of %d samples, a scrape in %v, in ms", r.s.Request, r.pace), Columns: append([]string{"", "series"}, latencyColumns[1:]...)}
	restart := byPeer(r.cases, func(c *peerCase) float64 { return c.Ready })
	bytes := byPeer(r.cases, func(c *peerCase) float64 { return float64(c.Resident) / float64(c.Series) })
	cpu := byPeer(r.cases, func(c *peerCase) float64 { return c.Append.cpuPerSample() * 1e9 })
	latency := chart{Title: fmt.Sprintf("Pushes, %d series", r.w.Series()), X: "s", Y: "ms", Log: true, MarkName: "Rekindle, HTTP published an image"}
	for i := range r.cases {
		c := &r.cases[i]
		series := strconv.Itoa(c.Series)
		g.add(c.Name, series, figure(c.Create.cpuPerSample()*1e9), figure(c.Append.cpuPerSample()*1e9), figure(float64(c.Append.Samples)/c.Append.Wall), figure(float64(c.Resident)/float64(c.Series)))
		if c.Stream.Series > 0 {
			q.add(c.Name, series, figure(c.Stream.Wall), figure(c.Stream.CPU), figure(float64(c.Stream.Bytes)/1e6))
		}
		k.add(c.Name, series, figure(c.Ready), figure(c.ReadyCPU), figure(float64(c.ReadyPeak)/1e6), strconv.Itoa(c.AckedBefore), strconv.Itoa(c.FoundBefore), strconv.Itoa(c.Acked), strconv.Itoa(c.Found), figure(c.Stop), figure(c.Start))
		l.add(append([]string{c.Name, series}, latencies("", c.Pushes)[1:]...)...)
		if c.Series == r.cases[len(r.cases)-1].Series && len(c.Watched) > 0 {
			latency.Curves = append(latency.Curves, latencyCurve(c.Name, c.Watched[0].At, c.Pushes))
			if c.Name == "Rekindle, HTTP" {
				latency.Marks = imageMarks(c.Watched)
			}
		}
	}
	rep.Tables = append(rep.Tables, g, q, k, l)
	rep.Charts = append(rep.Charts,
		chart{Title: "Ready after kill -9", X: "series", Y: "s", Log: true, Curves: restart},
		chart{Title: "Resident memory", X: "series", Y: "B a series", Curves: bytes},
		chart{Title: "Server CPU a sample", X: "series", Y: "ns", Curves: cpu},
		latency)
	rep.Data = r.data()
	return rep
}

// data are the figures without the single pushes, which the drawings show.
func (r *peersRun) data() []peerCase {
	out := slices.Clone(r.cases)
	for i := range out {
		out[i].Pushes, out[i].Watched = nil, nil
	}
	return out
}

// byPeer makes a line over the numbers of series for each peer.
func byPeer(cases []peerCase, value func(*peerCase) float64) (out []curve) {
	at := map[string]int{}
	for i := range cases {
		c := &cases[i]
		k, ok := at[c.Name]
		if !ok {
			k = len(out)
			at[c.Name] = k
			out = append(out, curve{Name: c.Name})
		}
		out[k].Points = append(out[k].Points, [2]float64{float64(c.Series), value(c)})
	}
	return out
}

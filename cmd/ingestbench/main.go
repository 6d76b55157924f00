package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rekindledb/rekindle/bench"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := dispatch(ctx, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "ingestbench:", err)
		cancel()
		os.Exit(1)
	}
}

// command is what the first argument names.
type command struct {
	name, does string
	run        func(ctx context.Context, args []string) error
}

// commands are listed by -help. Without one of them the table is measured.
var commands = []command{
	{"demo", "one minute: a million series, kill -9, restart, query", demo},
	{"restart", "the ingester is killed and stopped under load: how long until it is ready, and is everything there", restarts},
	{"forecast", "what the ingester says a restart would take, against what it takes", forecast},
	{"images", "what keeping restarts short costs: bytes written, and what pushes notice", images},
	{"cgroup", "restarts with hardly more memory than before", cgroup},
	{"peers", "the same stream to Rekindle, Prometheus, Cortex and VictoriaMetrics", peers},
	{"scale", "more and more series: what samples, series and restarts cost", scaleUp},
	{"read", "what queries take, in peace and while samples come in", read},
}

func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == childName {
		return child(ctx, strings.Join(args[1:], " "))
	}
	for _, c := range commands {
		if len(args) > 0 && args[0] == c.name {
			return c.run(ctx, args[1:])
		}
	}
	return table(ctx, args)
}

func usage(fs *flag.FlagSet) {
	out := fs.Output()
	fmt.Fprintln(out, "ingestbench [flags] measures both systems and prints a table.")
	for _, c := range commands {
		fmt.Fprintf(out, "ingestbench %-9s %s; -help lists its flags\n", c.name, c.does)
	}
	fmt.Fprintln(out, "\nFlags of the table:")
	fs.PrintDefaults()
}

// table measures both systems and prints the comparison.
func table(ctx context.Context, args []string) error {
	m := &measurement{show: newProgress()}
	fs := flag.NewFlagSet("ingestbench", flag.ContinueOnError)
	fs.Usage = func() { usage(fs) }
	p := &m.s.Workload
	fs.IntVar(&p.Series, "series", 1_000_000, "series live at any time")
	fs.IntVar(&p.SeriesPerTarget, "series-per-target", 500, "series of one scraped target: fewer repeat more labels")
	fs.IntVar(&p.Labels, "labels", 10, "labels of a series, its name included")
	fs.DurationVar(&p.Interval, "interval", 15*time.Second, "time between two scrapes")
	fs.Float64Var(&p.Churn, "churn", 0, "share of the targets that is replaced in an hour")
	fs.Var(&p.Values, "values", "kind of values: counters, cpu, gauges or mixed")
	fs.Uint64Var(&p.Seed, "seed", 1, "seed of the workload")
	fs.IntVar(&m.s.Scrapes, "scrapes", 60, "scrapes to write; the first creates the series")
	fs.IntVar(&m.s.Writers, "writers", 8, "requests in flight")
	fs.IntVar(&m.s.Request, "request", 500, "samples in a request")
	fs.StringVar(&m.binary, "ingester", beside("ingester"), "the ingester's binary, for the rows over HTTP and gRPC; empty leaves them out")
	fs.BoolVar(&m.variants, "variants", false, "measure the memory of other workloads too: fewer series a target, other values")
	dir := fs.String("dir", "", "where to put data, on the disk to be measured (default: a temporary directory)")
	jsonFile := fs.String("json", "", "file for all figures as JSON")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if m.s.Scrapes < 1 || m.s.Writers < 1 || m.s.Request < 1 {
		return errors.New("-scrapes, -writers and -request must be at least 1")
	}
	return inDirectory(*dir, func(dir string) error {
		m.dir = dir
		if err := m.prepare(); err != nil {
			return err
		}
		if err := m.run(ctx); err != nil {
			return err
		}
		return m.print(*jsonFile)
	})
}

// prepare places the workload in the recent past, inside one block range if it fits: neither system takes samples
// from the future.
func (m *measurement) prepare() (err error) {
	if m.binary != "" {
		// It runs in another directory.
		if m.binary, err = filepath.Abs(m.binary); err != nil {
			return err
		}
	}
	p := &m.s.Workload
	length := time.Duration(m.s.Scrapes) * p.Interval
	p.Start = time.Now().Add(-length).Truncate(2 * time.Hour).UnixMilli()
	m.w, err = bench.New(*p)
	return err
}

func (m *measurement) print(jsonFile string) error {
	rows := m.rows()
	fmt.Println(thisMachine())
	fmt.Printf("%d series, %d a target, %d labels, %s; %d scrapes %v apart, churn %v; %d writers, %d samples a request; sync interval; seed %d\n\n",
		m.w.Series(), m.w.Params().SeriesPerTarget, m.w.Params().Labels, m.w.Params().Values,
		m.s.Scrapes, m.w.Params().Interval, m.w.Params().Churn, m.s.Writers, m.s.Request, m.w.Params().Seed)
	if err := printTable(os.Stdout, rows); err != nil {
		return err
	}
	fmt.Printf("\nAll %d samples were there after each restart.\n\n", m.samples())
	printBench(os.Stdout, m, rows)
	if jsonFile == "" {
		return nil
	}
	b, err := json.MarshalIndent(struct {
		Machine              machine
		Run                  spec
		Rows                 []row
		Log, HTTP, GRPC      []phase
		Rekindle, Prometheus figures
		Variants             []variant
	}{thisMachine(), m.s, rows, []phase{m.LogCreate, m.Log}, []phase{m.HTTPCreate, m.HTTPAppend}, []phase{m.GRPCCreate, m.GRPCAppend}, m.Rekindle, m.Prometheus, m.Variants}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(jsonFile, append(b, '\n'), 0o644)
}

// beside is the path of a binary in the directory of this one.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}

// inDirectory runs do with a directory of its own under parent, or under the system's temporary one, and
// removes it afterwards.
func inDirectory(parent string, do func(dir string) error) error {
	dir, err := os.MkdirTemp(parent, "ingestbench-")
	if err != nil {
		return err
	}
	return errors.Join(do(dir), os.RemoveAll(dir))
}

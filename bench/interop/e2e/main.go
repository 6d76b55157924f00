package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/answers"
	"github.com/rekindledb/rekindle/bench/interop/proc"
)

type options struct {
	ingester, prometheus, nodeExporter string

	dir       string
	window    time.Duration
	kills     int
	selfCheck bool
}

func main() {
	var o options
	flag.StringVar(&o.ingester, "ingester", "", "path of the ingester's binary")
	flag.StringVar(&o.prometheus, "prometheus", "", "path of the Prometheus server's binary, built by this module")
	flag.StringVar(&o.nodeExporter, "node-exporter", "prometheus-node-exporter", "node_exporter's binary")
	flag.StringVar(&o.dir, "dir", "", "where servers keep data and logs (default: a temporary directory, removed if all went well)")
	flag.DurationVar(&o.window, "window", 40*time.Second, "how long to collect answers before the first kill")
	flag.IntVar(&o.kills, "kills", 3, "how often each ingester gets SIGKILL")
	flag.BoolVar(&o.selfCheck, "self-check", false, "put a Prometheus in the place of each ingester, to check the test itself")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	for _, path := range []*string{&o.ingester, &o.prometheus} {
		if *path != "" {
			if *path, err = filepath.Abs(*path); err != nil {
				return err
			}
		}
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "rekindle-e2e-"); err != nil {
			return err
		}
		defer func() { err = proc.Discard(o.dir, err) }()
	}
	c, err := newCluster(o)
	if err != nil {
		return err
	}
	defer c.cleanUp()
	if err := c.start(ctx); err != nil {
		return err
	}
	e := &answers.Examination{Reference: answers.API{Base: "http://" + c.prometheus.Addr}}
	for _, r := range c.receivers {
		e.Receivers = append(e.Receivers, answers.Receiver{Name: r.protocol.name, API: r.api})
	}
	const jobs = 3
	if err := e.Begin(ctx, jobs); err != nil {
		return err
	}

	proc.Say("collecting for %v", answers.LookBack+o.window)
	if err := proc.Sleep(ctx, answers.LookBack+o.window); err != nil {
		return err
	}
	if err := e.Phase(ctx, "before"); err != nil {
		return err
	}
	for range o.kills {
		if err := c.killAll(ctx); err != nil {
			return err
		}
	}
	if err := e.Phase(ctx, "kill -9"); err != nil {
		return err
	}
	if err := c.restartAll(ctx); err != nil {
		return err
	}
	if err := e.Phase(ctx, "clean stop"); err != nil {
		return err
	}
	return e.Pushes(ctx, true)
}

// killAll kills the receivers at moments that nobody chose. The time until a receiver is back differs too:
// long enough for pushes to fail, or so short that Prometheus may not notice.
func (c *cluster) killAll(ctx context.Context) error {
	for _, r := range c.receivers {
		if err := proc.Sleep(ctx, rand.N(time.Second)); err != nil {
			return err
		}
		if err := r.Kill(); err != nil {
			return err
		}
		away := rand.N(2 * time.Second)
		if err := proc.Sleep(ctx, away); err != nil {
			return err
		}
		took, err := r.Start(ctx)
		if err != nil {
			return err
		}
		proc.Say("%s was killed by SIGKILL, was away for %v and is ready %v after its start", r.Name, away.Round(time.Millisecond), took.Round(time.Millisecond))
	}
	return nil
}

// restartAll stops the receivers by SIGTERM and starts them again.
func (c *cluster) restartAll(ctx context.Context) error {
	for _, r := range c.receivers {
		begin := time.Now()
		if err := r.Stop(); err != nil {
			return err
		}
		stopped := time.Since(begin)
		took, err := r.Start(ctx)
		if err != nil {
			return err
		}
		proc.Say("%s stopped in %v and is ready again after %v", r.Name, stopped.Round(time.Millisecond), took.Round(time.Millisecond))
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/answers"
	"github.com/rekindledb/rekindle/bench/interop/proc"
)

type options struct {
	ingester, cortex, prometheus, etcd, nodeExporter string

	dir    string
	window time.Duration
	rounds int
	only   *regexp.Regexp
	stock  bool

	storeOutage time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.ingester, "ingester", "", "path of the ingester's binary")
	flag.StringVar(&o.cortex, "cortex", "", "path of Cortex's binary, built by the module bench/interop/cortex")
	flag.StringVar(&o.prometheus, "prometheus", "", "path of the Prometheus server's binary, built by this module")
	flag.StringVar(&o.etcd, "etcd", "etcd", "etcd's binary")
	flag.StringVar(&o.nodeExporter, "node-exporter", "prometheus-node-exporter", "node_exporter's binary")
	flag.StringVar(&o.dir, "dir", "", "where servers keep data and logs (default: a temporary directory, removed if all went well)")
	flag.DurationVar(&o.window, "window", 15*time.Second, "how long to collect answers")
	flag.IntVar(&o.rounds, "rounds", 2, "how often each fault happens")
	flag.DurationVar(&o.storeOutage, "store-outage", 5*time.Second, "how long the store of the ring is gone; how long an ingester is frozen depends on it")
	flag.BoolVar(&o.stock, "stock", false, "put Cortex's own ingesters in the place of ours and compare answers only, to check the test itself")
	flag.Func("only", "run only the faults whose cluster and name this regular expression finds, as in \"memberlist: SIGKILL of all\", and compare no answers", func(text string) (err error) {
		o.only, err = regexp.Compile(text)
		return err
	})
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	for _, path := range []*string{&o.ingester, &o.cortex, &o.prometheus} {
		if *path == "" {
			return errors.New("-ingester, -cortex and -prometheus are needed")
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "rekindle-cluster-"); err != nil {
			return err
		}
		defer func() { err = proc.Discard(o.dir, err) }()
	}
	p, err := newPlace(o.dir)
	if err != nil {
		return err
	}
	ours := "rrr"
	if o.stock {
		ours = "ccc"
	}
	store := newEtcd(p, o.etcd, "store")
	// A distributor that found an ingester gone tries it again after up to 1.2 s. With Cortex's three replicas the next one can be stopped
	// then: with less two of three refuse a write now and then, once in a hundred roll-outs of a quarter of a second.
	const reconnected = "-ingester.min-ready-duration=1500ms"
	clusters := []*cluster{
		newCluster(o, p, "etcd", ours, store, reconnected),
		// What is gossiped takes its time: an ingester is ready when the others have heard of it.
		newCluster(o, p, "memberlist", ours, newGossip(p, len(ours)+components), "-ingester.min-ready-duration=4s"),
		newCluster(o, p, "mixed", "rrc", store.another("mixed/")),
	}
	// Here the query-frontend divides what it can into parts, which ingesters are asked for one by one.
	clusters[1].frontend.Args = append(clusters[1].frontend.Args, "-frontend.query-vertical-shard-size=3")
	zoned := newCluster(o, p, "zones", ours+ours, store.another("zones/"))
	// A child that dies is started again by its parent, which holds the sockets meanwhile.
	supervised := newCluster(o, p, "supervised", ours, store.another("supervised/"), "-supervise", reconnected)
	s := newSender(o, p, clusters)
	defer func() {
		for _, c := range append(clusters, zoned, supervised) {
			if err != nil {
				c.showLogs() // before they say that the others are gone
			}
			c.cleanUp()
		}
		s.cleanUp()
	}()
	if _, err := store.server.Start(ctx); err != nil {
		return err
	}
	if o.only == nil {
		if err := examine(ctx, o, s); err != nil {
			return err
		}
		if err := s.prometheus.Stop(); err != nil {
			return err
		}
	}
	if o.stock { // nobody but a querier can ask Cortex's own what it holds
		return nil
	}
	for _, c := range []struct {
		*cluster
		replicas int
		faults   []fault
		rounds   int
	}{
		{clusters[0], 3, []fault{killingOne, rollingOut, killingAll}, o.rounds},
		{clusters[0], 3, []fault{losingStore, freezing}, 1},
		{clusters[0], 1, []fault{killingOne, rollingOut, killingAll}, o.rounds}, // the distributor's acknowledgement is that of one ingester
		{clusters[1], 3, []fault{killingOne, rollingOut, killingAll}, o.rounds},
		{zoned, 3, []fault{killingZone}, o.rounds},
		{supervised, 3, []fault{killingOne, rollingOut, killingAll}, o.rounds},
	} {
		for _, f := range c.faults {
			if o.only != nil && !o.only.MatchString(c.name+": "+f.name) {
				continue
			}
			if err := c.prepare(ctx, c.replicas); err != nil {
				return err
			}
			if err := suffer(ctx, c.cluster, f, c.rounds); err != nil {
				return err
			}
		}
	}
	return nil
}

// examine starts everything and compares.
func examine(ctx context.Context, o options, s *sender) error {
	for _, c := range s.clusters {
		if err := c.launch(); err != nil {
			return err
		}
	}
	for _, c := range s.clusters {
		if err := c.await(ctx); err != nil {
			return err
		}
		proc.Say("%s: the distributor's page shows %d ingesters ACTIVE", c.name, len(c.ingesters))
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	e := &answers.Examination{Reference: s.api()}
	for _, c := range s.clusters {
		e.Receivers = append(e.Receivers, answers.Receiver{Name: c.name, API: c.api(tenant)})
	}
	if err := e.Begin(ctx, jobs); err != nil {
		return err
	}
	proc.Say("samples of all jobs arrive; collecting for %v", answers.LookBack+o.window)
	if err := proc.Sleep(ctx, answers.LookBack+o.window); err != nil {
		return err
	}
	if err := e.Phase(ctx, "through the query-frontend"); err != nil {
		return err
	}
	for _, c := range s.clusters {
		if err := ruled(ctx, c, s); err != nil {
			return err
		}
		if err := catalogue(ctx, s.api(), c, e.From()); err != nil {
			return err
		}
	}
	return e.Pushes(ctx, false)
}

func errOr(err error, text string) error {
	if err == nil {
		return errors.New(text)
	}
	return err
}

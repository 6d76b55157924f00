package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// fault is something that happens to a cluster under load.
type fault struct {
	name string
	do   func(ctx context.Context, c *cluster, round int) error
	// losesQuorum is set where writes must fail for a while, movesStates where entries of the ring change.
	losesQuorum, movesStates bool
}

var (
	killingOne  = fault{name: "SIGKILL of one", do: killOne}
	rollingOut  = fault{name: "rolling restart", do: rollOut, movesStates: true}
	killingAll  = fault{name: "SIGKILL of all", do: killAll, losesQuorum: true}
	losingStore = fault{name: "the store gone", do: loseStore}
	killingZone = fault{name: "SIGKILL of a zone", do: killZone}
	freezing    = fault{name: "SIGSTOP of one", do: freeze, movesStates: true}
)

// distributorTimeout is how long the distributor gives an ingester: -distributor.remote-timeout.
const distributorTimeout = 2 * time.Second

// suffer lets a fault happen so many times, and looks at what was written meanwhile.
func suffer(ctx context.Context, c *cluster, f fault, rounds int) error {
	before, err := c.appends(ctx)
	if err != nil {
		return err
	}
	w := startWriter(ctx, c, "load_"+strconv.FormatInt(time.Now().UnixMilli(), 10))
	defer w.end()
	if err := endure(ctx, c, f, rounds, w); err != nil {
		return fmt.Errorf("%s: %s: %w", c.name, f.name, err)
	}
	w.end()
	// The distributor does not wait for the last answers, but counts them.
	if err := proc.Sleep(ctx, distributorTimeout); err != nil {
		return err
	}
	acked, failed := w.counts()
	proc.Say("%s: %s, %d rounds: %d writes of %d samples acknowledged, the slowest after %v; %d failed", c.name, f.name, rounds, acked, loadSeries, w.mu.slowest.Round(time.Millisecond), failed)
	if failed > 0 && !f.losesQuorum && c.replicas > 1 {
		return fmt.Errorf("%s: %s: %d writes failed at the distributor, the first with %s", c.name, f.name, failed, w.mu.failed[0].text)
	}
	acknowledged, err := c.acknowledgedSince(ctx, before)
	if err != nil {
		return err
	}
	return c.account(ctx, w, acknowledged, f.movesStates || c.supervised)
}

func endure(ctx context.Context, c *cluster, f fault, rounds int, w *writer) error {
	const some = 5
	for round := range rounds {
		if err := w.flowing(ctx, some); err != nil {
			return err
		}
		if err := proc.Sleep(ctx, rand.N(2*loadPeriod)); err != nil { // at any moment between two writes, and in one
			return err
		}
		_, failed := w.counts()
		if err := f.do(ctx, c, round); err != nil {
			return err
		}
		if bad := w.failuresSince(failed); len(bad) > 0 {
			proc.Say("%s: %s, round %d: %d writes failed over %v, the first with %s", c.name, f.name, round+1, len(bad), bad[len(bad)-1].at.Sub(bad[0].at).Round(time.Millisecond), bad[0].text)
		}
	}
	if err := w.flowing(ctx, some); err != nil {
		return err
	}
	for _, i := range c.ingesters {
		if err := i.AwaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// killOne kills one after the other, round by round.
func killOne(ctx context.Context, c *cluster, round int) error {
	return c.kill(ctx, c.ingesters[round%len(c.ingesters)])
}

// kill kills an ingester, starts it again at once, and measures how long the distributor gets nothing stored there.
func (c *cluster) kill(ctx context.Context, i *ingester) error {
	begin := time.Now()
	if err := i.Kill(); err != nil {
		return err
	}
	before, err := c.appends(ctx)
	if err != nil {
		return err
	}
	if err := i.Launch(); err != nil {
		return err
	}
	if err := c.awaitAppend(ctx, i, before); err != nil {
		return err
	}
	outage := time.Since(begin)
	recovery, err := i.recoveryTime(ctx)
	if err != nil {
		return err
	}
	proc.Say("%s: %s was killed and started again at once; the distributor had no acknowledgement of it for %v, it was ready after %v", c.name, i.Name, outage.Round(10*time.Millisecond), recovery.Round(time.Millisecond))
	return nil
}

// rollOut restarts one after the other, each when the one before is ready, as a StatefulSet does.
func rollOut(ctx context.Context, c *cluster, _ int) error {
	begin := time.Now()
	heard := make(chan time.Duration, len(c.ingesters))
	for _, i := range c.ingesters {
		if err := i.Stop(); err != nil {
			return err
		}
		started := time.Now()
		if err := i.Launch(); err != nil {
			return err
		}
		go func() {
			_ = c.awaitState(ctx, i, "ACTIVE") // an error is found below
			heard <- time.Since(started)
		}()
		if err := i.AwaitReady(ctx); err != nil {
			return err
		}
	}
	took, slowest := time.Since(begin), time.Duration(0)
	for range c.ingesters {
		slowest = max(slowest, <-heard)
	}
	proc.Say("%s: rolled out in %v; the distributor's page showed each ACTIVE %v after its start at the latest", c.name, took.Round(time.Millisecond), slowest.Round(time.Millisecond))
	return c.awaitStates(ctx, "ACTIVE")
}

// killAll kills all in the same moment.
func killAll(ctx context.Context, c *cluster, _ int) error {
	return c.killTogether(ctx, c.ingesters)
}

// killZone kills the ingesters of one zone in the same moment, zone by zone.
func killZone(ctx context.Context, c *cluster, round int) error {
	zone := round % zones
	var all []*ingester
	for n, i := range c.ingesters {
		if n%zones == zone {
			all = append(all, i)
		}
	}
	return c.killTogether(ctx, all)
}

func (c *cluster) killTogether(ctx context.Context, all []*ingester) error {
	begin := time.Now()
	for _, i := range all {
		if err := i.Kill(); err != nil {
			return err
		}
	}
	before, err := c.appends(ctx)
	if err != nil {
		return err
	}
	for _, i := range all {
		if err := i.Launch(); err != nil {
			return err
		}
	}
	for _, i := range all {
		if err := c.awaitAppend(ctx, i, before); err != nil {
			return err
		}
	}
	proc.Say("%s: %d were killed; the distributor has acknowledgements of all of them again after %v", c.name, len(all), time.Since(begin).Round(10*time.Millisecond))
	return nil
}

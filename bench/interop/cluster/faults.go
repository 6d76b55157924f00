package main

import (
	"context"
	"fmt"
	"math/rand/v2"
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

var faults = []fault{
	{name: "SIGKILL of one", do: killOne},
	{name: "rolling restart", do: rollOut, movesStates: true},
	{name: "SIGKILL of all three", do: killAll, losesQuorum: true},
}

// suffer lets a fault happen so many times, and looks at what was written meanwhile.
func suffer(ctx context.Context, c *cluster, f fault, rounds int) error {
	before, err := c.appends(ctx)
	if err != nil {
		return err
	}
	w := startWriter(ctx, c, "load_"+fmt.Sprint(time.Now().UnixMilli()))
	defer w.end()
	for round := range rounds {
		if err := w.flowing(ctx, 5); err != nil {
			return fmt.Errorf("%s: %s: %w", c.name, f.name, err)
		}
		if err := proc.Sleep(ctx, rand.N(2*loadPeriod)); err != nil { // at any moment between two writes and in one
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
	if err := w.flowing(ctx, 5); err != nil {
		return fmt.Errorf("%s: %s: %w", c.name, f.name, err)
	}
	w.end()
	time.Sleep(distributorTimeout) // for answers that the distributor did not wait for
	acked, failed := w.counts()
	proc.Say("%s: %s, %d rounds: %d writes of %d samples acknowledged, the slowest after %v; %d failed", c.name, f.name, rounds, acked, loadSeries, w.mu.slowest.Round(time.Millisecond), failed)
	if failed > 0 && !f.losesQuorum {
		return fmt.Errorf("%s: %s: %d writes failed at the distributor", c.name, f.name, failed)
	}
	acknowledged, err := c.acknowledgedSince(ctx, before)
	if err != nil {
		return err
	}
	const quorum = 2
	return c.account(ctx, w, quorum, acknowledged, f.movesStates)
}

// distributorTimeout is how long the distributor gives an ingester: -distributor.remote-timeout.
const distributorTimeout = 2 * time.Second

// killOne measures how long the distributor gets nothing stored there, and what that is made of.
func killOne(ctx context.Context, c *cluster, round int) error {
	i := c.ingesters[round%len(c.ingesters)]
	begin := time.Now()
	if err := i.Kill(); err != nil {
		return err
	}
	ready, err := i.Start(ctx)
	if err != nil {
		return err
	}
	if err := c.awaitAppend(ctx, i); err != nil {
		return err
	}
	proc.Say("%s: %s was killed and started again at once, ready after %v; the distributor had no acknowledgement of it for %v", c.name, i.Name, ready.Round(time.Millisecond), time.Since(begin).Round(10*time.Millisecond))
	return nil
}

// rollOut restarts one after the other, each when the one before is ready, as a StatefulSet does.
func rollOut(ctx context.Context, c *cluster, _ int) error {
	begin := time.Now()
	for _, i := range c.ingesters {
		if err := i.Stop(); err != nil {
			return err
		}
		if _, err := i.Start(ctx); err != nil {
			return err
		}
	}
	proc.Say("%s: rolled out in %v", c.name, time.Since(begin).Round(time.Millisecond))
	return c.awaitStates(ctx, "ACTIVE")
}

// killAll kills all in the same moment.
func killAll(ctx context.Context, c *cluster, _ int) error {
	begin := time.Now()
	for _, i := range c.ingesters {
		if err := i.Kill(); err != nil {
			return err
		}
	}
	for _, i := range c.ingesters {
		if err := i.Launch(); err != nil {
			return err
		}
	}
	for _, i := range c.ingesters {
		if err := i.AwaitReady(ctx); err != nil {
			return err
		}
	}
	ready := time.Since(begin)
	for _, i := range c.ingesters {
		if err := c.awaitAppend(ctx, i); err != nil {
			return err
		}
	}
	proc.Say("%s: all were killed and ready again after %v; the distributor has acknowledgements of all after %v", c.name, ready.Round(time.Millisecond), time.Since(begin).Round(10*time.Millisecond))
	return nil
}

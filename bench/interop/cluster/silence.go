package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/answers"
	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// loseStore takes the store of the ring away. Nothing that worked before depends on it, and an ingester that is killed then comes
// back too: the distributor still has its entry. Afterwards heartbeats go on, with the tokens of before.
func loseStore(ctx context.Context, c *cluster, round int) error {
	before, err := c.ring(ctx)
	if err != nil {
		return err
	}
	for _, p := range c.kv.processes() {
		if err := p.Kill(); err != nil {
			return err
		}
	}
	begin := time.Now()
	i := c.ingesters[round%len(c.ingesters)]
	if err := c.kill(ctx, i); err != nil {
		return err
	}
	reads := 0
	for time.Since(begin) < c.storeOutage {
		if _, err := c.api(tenant).Instant(ctx, "up", time.Now()); err != nil {
			return fmt.Errorf("a query while the store is gone: %w", err)
		}
		reads++
		if err := proc.Sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	for _, p := range c.kv.processes() {
		if _, err := p.Start(ctx); err != nil {
			return err
		}
	}
	away := time.Since(begin)
	if err := c.awaitHeartbeats(ctx, time.Now()); err != nil {
		return err
	}
	if err := i.AwaitReady(ctx); err != nil {
		return err
	}
	after, err := c.ring(ctx)
	if err != nil {
		return err
	}
	for id, m := range before {
		if a := after[id]; a.State != "ACTIVE" || !slices.Equal(a.Tokens, m.Tokens) || a.Registered != m.Registered {
			return fmt.Errorf("after the store was gone the page shows %s %s, registered at %s, with tokens kept: %t; before %s, registered at %s",
				id, a.State, a.Registered, slices.Equal(a.Tokens, m.Tokens), m.State, m.Registered)
		}
	}
	proc.Say("%s: the store was gone for %v; %d queries were answered, all heartbeats resumed after %v more, tokens are kept", c.name, away.Round(time.Millisecond), reads, (time.Since(begin) - away).Round(time.Millisecond))
	return nil
}

// freeze stops an ingester as a machine without time would, for longer than the heartbeat timeout, and lets it go on.
func freeze(ctx context.Context, c *cluster, round int) error {
	i := c.ingesters[round%len(c.ingesters)]
	begin := time.Now()
	if err := i.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if err := c.awaitState(ctx, i, "Unhealthy"); err != nil {
		return err
	}
	noticed := time.Since(begin)
	const metric = `cortex_ring_members{name="ingester",state="Unhealthy",zone=""} 1`
	if err := c.awaitMetric(ctx, metric); err != nil {
		return err
	}
	if err := i.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	begin = time.Now()
	if err := c.awaitState(ctx, i, "ACTIVE"); err != nil {
		return err
	}
	active := time.Since(begin)
	before, err := c.appends(ctx)
	if err != nil {
		return err
	}
	if err := c.awaitAppend(ctx, i, before); err != nil {
		return err
	}
	proc.Say("%s: %s was frozen, Unhealthy on the page and in the metric after %v, and ACTIVE again %v after it went on; the distributor has acknowledgements of it again", c.name, i.Name, noticed.Round(100*time.Millisecond), active.Round(10*time.Millisecond))
	return nil
}

// awaitHeartbeats waits until the page shows a heartbeat of every ingester that is younger than this.
func (c *cluster) awaitHeartbeats(ctx context.Context, since time.Time) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		members, err := c.ring(ctx)
		missing := ""
		for _, i := range c.ingesters {
			// Seconds are all that the ring knows.
			at, bad := time.Parse("2006-01-02 15:04:05 -0700 MST", members[i.Name].Heartbeat)
			if bad != nil || at.Before(since.Truncate(time.Second).Add(time.Second)) {
				missing = fmt.Sprintf("%s, last at %q", i.Name, members[i.Name].Heartbeat)
			}
		}
		if err == nil && missing == "" {
			return nil
		}
		if proc.Sleep(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("no heartbeat in %v of %s (%w)", patience, missing, errOr(err, "no error"))
		}
	}
}

// awaitMetric waits until the distributor has a line of metrics.
func (c *cluster) awaitMetric(ctx context.Context, line string) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		text, err := answers.Text(ctx, "http://"+c.distributor.Addr+"/metrics")
		if err == nil && strings.Contains(text, "\n"+line+"\n") {
			return nil
		}
		if proc.Sleep(ctx, 100*time.Millisecond) != nil {
			return fmt.Errorf("the distributor's metrics don't have %s for %v (%w)", line, patience, errOr(err, "no error"))
		}
	}
}

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/answers"
	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// appends are the distributor's own counts of an ingester: requests sent to it, and those that failed.
type appends struct{ sent, failed int }

func (a appends) acknowledged() int { return a.sent - a.failed }

// appends reads the distributor's metrics, by ingester.
func (c *cluster) appends(ctx context.Context) (map[string]appends, error) {
	text, err := answers.Text(ctx, "http://"+c.distributor.Addr+"/metrics")
	if err != nil {
		return nil, err
	}
	counts := map[string]appends{}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), "{")
		if !ok || !strings.HasPrefix(name, "cortex_distributor_ingester_append") || !strings.Contains(rest, `type="samples"`) {
			continue
		}
		_, id, _ := strings.Cut(rest, `ingester="`)
		id, _, _ = strings.Cut(id, `"`)
		n, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("read the distributor's metrics: %q: %w", line, err)
		}
		a := counts[id]
		switch name {
		case "cortex_distributor_ingester_appends_total":
			a.sent += int(n)
		case "cortex_distributor_ingester_append_failures_total": // once for each family of errors
			a.failed += int(n)
		}
		counts[id] = a
	}
	return counts, nil
}

// acknowledgedSince is what ingesters have acknowledged since an earlier look.
func (c *cluster) acknowledgedSince(ctx context.Context, before map[string]appends) (map[string]int, error) {
	now, err := c.appends(ctx)
	since := map[string]int{}
	for _, i := range c.ingesters {
		since[i.Name] = now[i.Name].acknowledged() - before[i.Name].acknowledged()
	}
	return since, err
}

// awaitAppend waits until the distributor has got more acknowledgements of an ingester than before. One may be none: requests are
// counted first and failures later, and the page may be made in between.
func (c *cluster) awaitAppend(ctx context.Context, i *ingester, before map[string]appends) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		now, err := c.appends(ctx)
		if err == nil && now[i.Name].acknowledged() > before[i.Name].acknowledged()+1 {
			return nil
		}
		if proc.Sleep(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("%s: %s acknowledged nothing for %v (%w)", c.name, i.Name, patience, errOr(err, "no error"))
		}
	}
}

// recoveryTime is what the ingester says itself about its last start: from the start of the process until it was ready.
func (i *ingester) recoveryTime(ctx context.Context) (time.Duration, error) {
	const metric = "rekindle_ready_seconds "
	text, err := answers.Text(ctx, "http://"+i.Addr+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, metric); ok {
			s, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return time.Duration(s * float64(time.Second)), err
		}
	}
	return 0, nil // Cortex's own does not say
}

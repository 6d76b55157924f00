package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// appends are the distributor's own counts of an ingester: requests sent to it, and those that failed.
type appends struct{ sent, failed int }

func (a appends) acknowledged() int { return a.sent - a.failed }

// appends reads the distributor's metrics, by ingester.
func (c *cluster) appends(ctx context.Context) (map[string]appends, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.distributor.Addr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	counts := map[string]appends{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, rest, ok := strings.Cut(lines.Text(), "{")
		if !ok || !strings.HasPrefix(name, "cortex_distributor_ingester_append") || !strings.Contains(rest, `type="samples"`) {
			continue
		}
		_, id, _ := strings.Cut(rest, `ingester="`)
		id, _, _ = strings.Cut(id, `"`)
		n, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("read the distributor's metrics: %q: %w", lines.Text(), err)
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
	return counts, lines.Err()
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

// awaitAppend waits until the distributor has got an acknowledgement of an ingester again.
func (c *cluster) awaitAppend(ctx context.Context, i *ingester) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before, err := c.appends(ctx)
	if err != nil {
		return err
	}
	for {
		now, err := c.appends(ctx)
		if err == nil && now[i.Name].acknowledged() > before[i.Name].acknowledged() {
			return nil
		}
		if proc.Sleep(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("%s: %s acknowledged nothing for %v (%w)", c.name, i.Name, patience, errOr(err, "no error"))
		}
	}
}

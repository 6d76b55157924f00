package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// What the ruler evaluates each second: numbers that don't move, from series that it reads from the ingesters. It has no label job,
// so that the expressions that are compared don't see it.
const (
	recordedName = "interop:start_time:max"
	recordedExpr = `max by (instance) (process_start_time_seconds)`
)

// writeRules makes the directories that the ruler is told of.
func writeRules(dir string) error {
	rules := filepath.Join(dir, "rules", tenant)
	for _, d := range []string{rules, filepath.Join(dir, "rule-path")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("groups:\n  - name: interop\n    interval: 1s\n    rules:\n      - record: %s\n        expr: %s\n        labels: {by: ruler}\n", recordedName, recordedExpr)
	return os.WriteFile(filepath.Join(rules, "rules.yaml"), []byte(text), 0o644)
}

// ruled waits until the recording rule's series come back through a query, and checks their values.
func ruled(ctx context.Context, c *cluster, s *sender) error {
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		want, err := s.api().Instant(ctx, fmt.Sprintf(`label_replace(%s, "by", "ruler", "", "")`, recordedExpr), time.Now())
		if err != nil {
			return err
		}
		got, err := c.api(tenant).Instant(ctx, recordedName, time.Now())
		if err == nil && len(want) > 0 && len(got) == len(want) {
			for labels, points := range want {
				// The record is a series of its own name.
				key := fmt.Sprintf(`{__name__=%q, %s`, recordedName, labels[1:])
				if p := got[key]; len(p) != 1 || p[0].V != points[0].V {
					return fmt.Errorf("%s: the recording rule says %v for %s, Prometheus says %s", c.name, got, key, points[0].V)
				}
			}
			proc.Say("%s: the ruler's recording rule comes back, %d series", c.name, len(got))
			return nil
		}
		if proc.Sleep(ctx, 200*time.Millisecond) != nil {
			return fmt.Errorf("%s: the recording rule's series did not come back in %v, but %v (%w)", c.name, patience, got, errOr(err, "no error"))
		}
	}
}

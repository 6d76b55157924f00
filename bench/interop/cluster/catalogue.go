package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/answers"
	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// catalogue compares what is asked about names: labels, values, series and metadata. Prometheus finds a new series in its whole
// head and before it has sent it, so a difference counts only if it stays.
func catalogue(ctx context.Context, reference answers.API, c *cluster, from time.Time) error {
	const patience = 20 * time.Second
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := catalogueOnce(ctx, reference, c, from, time.Now())
		if err == nil || proc.Sleep(waiting, time.Second) != nil {
			return err
		}
	}
}

func catalogueOnce(ctx context.Context, reference answers.API, c *cluster, from, to time.Time) error {
	window := func(args ...string) url.Values {
		v := url.Values{"start": {unix(from)}, "end": {unix(to)}}
		for i := 0; i < len(args); i += 2 {
			v.Add(args[i], args[i+1])
		}
		return v
	}
	// The recording rule is in the cluster only, and has no job.
	const scraped = `{job!=""}`
	checks, entries := 0, 0
	for _, ask := range []struct {
		path string
		args url.Values
		keys func(json.RawMessage) ([]string, error)
	}{
		{"/api/v1/labels", window("match[]", scraped), list},
		{"/api/v1/labels", window("match[]", `{__name__=~"node_cpu.+"}`, "match[]", "up"), list},
		{"/api/v1/label/job/values", window(), list},
		{"/api/v1/label/__name__/values", window("match[]", scraped), list},
		{"/api/v1/label/mode/values", window("match[]", `node_cpu_seconds_total{cpu="0"}`), list},
		{"/api/v1/label/nobody/values", window(), list},
		{"/api/v1/series", window("match[]", scraped), labelSets},
		{"/api/v1/series", window("match[]", `{__name__=~"go_.+"}`, "match[]", `up{job!="node"}`), labelSets},
		{"/api/v1/series", window("match[]", `nobody`), labelSets},
		{"/api/v1/metadata", url.Values{}, metadata},
	} {
		want, err := keysOf(ctx, reference, ask.path, ask.args, ask.keys)
		if err != nil {
			return err
		}
		got, err := keysOf(ctx, c.api(tenant), ask.path, ask.args, ask.keys)
		if err != nil {
			return err
		}
		if err := sameKeys(want, got); err != nil {
			return fmt.Errorf("%s: %s?%s: %w", c.name, ask.path, ask.args.Encode(), err)
		}
		checks++
		entries += len(want)
	}
	proc.Say("%s: %d questions about labels, values, series and metadata have equal answers, %d entries", c.name, checks, entries)
	return nil
}

func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func keysOf(ctx context.Context, a answers.API, path string, args url.Values, keys func(json.RawMessage) ([]string, error)) ([]string, error) {
	data, err := a.Get(ctx, path, args)
	if err != nil {
		return nil, err
	}
	k, err := keys(data)
	if err != nil {
		return nil, fmt.Errorf("%s%s answers %.100s: %w", a.Base, path, data, err)
	}
	return k, nil
}

// list reads what is a list of texts, in the order in which it came.
func list(data json.RawMessage) (texts []string, err error) {
	return texts, json.Unmarshal(data, &texts)
}

// labelSets reads a list of series, which has no order.
func labelSets(data json.RawMessage) ([]string, error) {
	var sets []map[string]string
	err := json.Unmarshal(data, &sets)
	var texts []string
	for _, s := range sets {
		texts = append(texts, answers.LabelText(s))
	}
	slices.Sort(texts)
	return texts, err
}

// metadata reads lists by metric, which have no order.
func metadata(data json.RawMessage) ([]string, error) {
	var byMetric map[string][]struct{ Type, Help, Unit string }
	err := json.Unmarshal(data, &byMetric)
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(byMetric)) {
		for _, m := range byMetric[name] {
			texts = append(texts, fmt.Sprintf("%s is a %s in %q: %s", name, m.Type, m.Unit, m.Help))
		}
	}
	slices.Sort(texts)
	return texts, err
}

// sameKeys says what the first difference is.
func sameKeys(want, got []string) error {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			return fmt.Errorf("%d entries, Prometheus has %d; it lacks %q", len(got), len(want), want[i])
		case i >= len(want):
			return fmt.Errorf("%d entries, Prometheus has %d; it has %q", len(got), len(want), got[i])
		case want[i] != got[i]:
			return fmt.Errorf("%d entries, Prometheus has %d; entry %d is %q and there %q", len(got), len(want), i, got[i], want[i])
		}
	}
	return nil
}

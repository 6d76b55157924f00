package main

import (
	"context"
	"fmt"
	"math"
	"path"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/overlay"
	"github.com/rekindledb/rekindle/engine"
)

// snapshotDir is where tenants' folders are mounted.
const snapshotDir = "/data"

func mount(tenants []tenantDir) (*overlay.FS, error) {
	o := overlay.New(disk.OS)
	for _, t := range tenants {
		if err := o.Mount(path.Join(snapshotDir, t.id), t.path); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// withSnapshot recovers tenants as a start of an ingester would, on a file system that keeps all changes to itself, and
// calls do with the engine.
func withSnapshot(ctx context.Context, io streams, tenants []tenantDir, do func(*engine.Engine) error) error {
	o, err := mount(tenants)
	if err != nil {
		return err
	}
	e, err := engine.Open(engine.Config{FS: o, Dir: snapshotDir, WAL: true, Recover: true, Logger: io.log})
	if err != nil {
		return err
	}
	defer e.Close()
	p := newProgress(io.err)
	stop := p.follow(func() string { return e.Progress().String() })
	err = e.Recover(ctx)
	stop()
	if err != nil {
		return err
	}
	return do(e)
}

// window is a range of time, both ends inclusive, in milliseconds, as -from and -to give it.
type window struct{ from, to timeFlag }

func (w *window) mint() int64 { return w.from.or(math.MinInt64) }
func (w *window) maxt() int64 { return w.to.or(math.MaxInt64) }

// timeFlag is a flag that takes a time: RFC 3339, or seconds since the epoch.
type timeFlag struct {
	ms    int64
	given bool
}

func (f *timeFlag) or(ms int64) int64 {
	if f.given {
		return f.ms
	}
	return ms
}

func (f *timeFlag) String() string {
	if !f.given {
		return ""
	}
	return formatTime(f.ms)
}

func (f *timeFlag) Set(s string) error {
	var seconds float64
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		f.ms = t.UnixMilli()
	} else if n, err := fmt.Sscanf(s+" ", "%g ", &seconds); err == nil && n == 1 {
		f.ms = int64(math.Round(seconds * 1000))
	} else {
		return fmt.Errorf("%q is neither RFC 3339 nor seconds since the epoch", s)
	}
	f.given = true
	return nil
}

func formatTime(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// eachSeries calls yield for the series of a tenant that satisfy the matchers and have chunks in [mint, maxt], metric by
// metric, sorted. Only one metric is in memory twice.
func eachSeries(ctx context.Context, t *engine.Tenant, mint, maxt int64, ms []*labels.Matcher, yield func(*engine.Series) error) error {
	names, err := t.LabelValues(ctx, model.MetricNameLabel, mint, maxt, 0)
	if err != nil {
		return err
	}
	for _, name := range append([]string{""}, names...) { // "": series without a name
		m, err := labels.NewMatcher(labels.MatchEqual, model.MetricNameLabel, name)
		if err != nil {
			return err
		}
		list, err := t.Select(ctx, mint, maxt, append(slices.Clone(ms), m)...)
		if err != nil {
			return err
		}
		slices.SortFunc(list, func(a, b engine.Series) int { return labels.Compare(a.Labels, b.Labels) })
		for i := range list {
			if err := yield(&list[i]); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

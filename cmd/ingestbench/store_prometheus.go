package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/rekindledb/rekindle/bench"
)

type prometheusStore struct {
	db    *tsdb.DB
	churn bool
}

func openPrometheus(s spec) (store, error) {
	debug.SetGCPercent(75)
	opts := tsdb.DefaultOptions()
	opts.WALCompression = compression.Snappy
	opts.EnableMemorySnapshotOnShutdown = s.Snapshot
	db, err := tsdb.Open(s.Dir, slog.New(slog.DiscardHandler), nil, opts, nil)
	if err != nil {
		return nil, fmt.Errorf("open Prometheus's TSDB in %s: %w", s.Dir, err)
	}
	db.DisableCompactions()
	return &prometheusStore{db, s.Workload.Churn > 0}, nil
}

func (p *prometheusStore) logDir() string                             { return filepath.Join(p.db.Dir(), "wal") }
func (p *prometheusStore) queryable() storage.SampleAndChunkQueryable { return p.db }
func (p *prometheusStore) close() error                               { return p.db.Close() }

func (p *prometheusStore) pusher(f *bench.Feeder) pusher { return &prometheusPusher{p.db, f, p.churn} }

type prometheusPusher struct {
	db    *tsdb.DB
	f     *bench.Feeder
	churn bool
}

// keep says whether labels must outlive the call: the head keeps those of series that it creates. All are new
// in scrape 0, and under churn nobody knows which are later.
func (p *prometheusPusher) keep(scrape int) bool { return scrape == 0 || p.churn }

func (p *prometheusPusher) push(ctx context.Context, scrape, lo, hi int) error {
	app := p.db.Appender(ctx)
	err := p.f.Each(scrape, lo, hi, p.keep(scrape), func(_ int, l labels.Labels, t int64, v float64) error {
		_, err := app.Append(0, l, t, v)
		return err
	})
	if err != nil {
		return errors.Join(fmt.Errorf("append to Prometheus's head: %w", err), app.Rollback())
	}
	return app.Commit()
}

func (p *prometheusPusher) generate(scrape, lo, hi int) {
	_ = p.f.Each(scrape, lo, hi, p.keep(scrape), func(int, labels.Labels, int64, float64) error { return nil })
}

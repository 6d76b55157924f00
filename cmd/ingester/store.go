package main

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/guard"
	"github.com/rekindledb/rekindle/rpc/metrics"
	"github.com/rekindledb/rekindle/walio"
)

// store is the engine as run and the handlers see it.
type store struct {
	cfg     engine.Config
	metrics *metrics.Engine
	imports importer

	// mu is held for reading by what may come before recovery and after close: metrics and status.
	mu struct {
		sync.RWMutex
		engine *engine.Engine // nil before open and after close
	}
	// The same for requests, which the gate lets in between the two only.
	engine *engine.Engine
}

var _ database = (*store)(nil)

func newStore(o *options, logger *slog.Logger) *store {
	s := &store{cfg: engineConfig(o, logger)}
	s.imports.dir, s.imports.tenant = o.Ingester.ImportDir, o.NoAuthTenant
	s.metrics = metrics.NewEngine(func() *engine.Engine { return s.mu.engine }) // under mu: Collect
	return s
}

func engineConfig(o *options, logger *slog.Logger) engine.Config {
	w := o.Ingester.WAL
	c := engine.Config{
		Dir:                w.Dir,
		Instance:           o.Ingester.Lifecycler.ID,
		InstanceGiven:      o.Ingester.Lifecycler.ID != "",
		Adopt:              o.Ingester.AdoptDir,
		WAL:                w.Enabled,
		Recover:            w.Recover,
		Checkpoint:         w.CheckpointEnabled,
		Sync:               walio.SyncInterval,
		SyncInterval:       w.SyncInterval,
		RestartTarget:      w.RestartTarget,
		CheckpointDuration: w.CheckpointDuration,
		CheckpointRate:     w.CheckpointMaxRate,
		Stripes:            o.Ingester.Stripes,
		CreateGrace:        o.Limits.CreationGracePeriod,
		Logger:             logger,
	}
	if !c.InstanceGiven {
		c.Instance, _ = os.Hostname() // empty: the engine has a name for it
	}
	if w.Sync == syncAlways {
		c.Sync = walio.SyncAlways
	}
	switch o.Storage.TSDB.WALCompression {
	case compressionSnappy:
		c.Compression = walio.CompressionSnappy
	case compressionZstd:
		c.Compression = walio.CompressionZstd
	default:
		c.Compression = walio.CompressionNone
	}
	return c
}

func (s *store) open() (string, error) {
	if err := refuseChunkStorage(s.cfg.Dir); err != nil {
		return "", err
	}
	e, err := engine.Open(s.cfg)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine, s.mu.engine = e, e
	return e.Instance(), nil
}

func (s *store) recover(ctx context.Context) error {
	if err := s.imports.run(ctx, s.cfg); err != nil {
		return err
	}
	return s.engine.Recover(ctx)
}

// flush writes images. To storage it will write what is complete, when there is one.
func (s *store) flush(ctx context.Context, tenants []string) error {
	if !s.cfg.WAL || !s.cfg.Checkpoint {
		s.cfg.Logger.Warn("flush: nothing is written, because images are off (-ingester.wal-enabled, -ingester.checkpoint-enabled)")
		return nil
	}
	begun := time.Now()
	err := s.engine.Checkpoint(ctx, tenants...)
	if err == nil {
		s.cfg.Logger.Info("flushed: images are written to the data directory; there is no long-term storage yet", "tenants", tenants, "took", time.Since(begun))
	}
	return err
}

func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.engine = nil
	return s.engine.Close()
}

func (s *store) status() guard.Status {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.mu.engine == nil {
		return guard.Status{Text: "opening the data directory"}
	}
	if text := s.imports.status(); text != "" {
		return guard.Status{Text: text}
	}
	p := s.mu.engine.Progress()
	return guard.Status{Text: p.String(), Left: p.ETA}
}

// Append implements httpsrv.Store. A duplicate is there, so it counts as written.
func (s *store) Append(ctx context.Context, tenant string, b *engine.Batch) (int, error) {
	r, err := s.engine.Append(ctx, tenant, b)
	return r.Stored + r.Duplicates, err
}

// Metadata implements httpsrv.Store.
func (s *store) Metadata(tenant, family string, yield func(family string, all []engine.Description) bool) {
	if t := s.engine.Tenant(tenant); t != nil {
		t.Metadata(family, yield)
	}
}

func (s *store) source(tenant string) metrics.Source {
	if t := s.engine.Tenant(tenant); t != nil {
		return t
	}
	return nil
}

// Describe implements prometheus.Collector.
func (s *store) Describe(to chan<- *prometheus.Desc) { s.metrics.Describe(to) }

// Collect implements prometheus.Collector. The engine is not closed meanwhile: its memory is read.
func (s *store) Collect(to chan<- prometheus.Metric) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.metrics.Collect(to)
}

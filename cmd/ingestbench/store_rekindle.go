package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/prometheus/storage"

	"github.com/rekindledb/rekindle/bench"
	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/engine/promstore"
	"github.com/rekindledb/rekindle/walio"
)

// tenant is who owns the benchmark's series. It is the ingester's default, so that its binary opens the
// directory too.
const tenant = "anonymous"

type rekindleStore struct {
	dir string
	e   *engine.Engine
}

func openRekindle(ctx context.Context, s spec) (store, error) {
	e, err := engine.Open(engine.Config{
		Dir:         s.Dir,
		WAL:         true,
		Recover:     true,
		Checkpoint:  s.Images,
		Compression: walio.CompressionSnappy,
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	if err := e.Recover(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return &rekindleStore{s.Dir, e}, nil
}

func (r *rekindleStore) logDir() string { return filepath.Join(r.dir, tenant, "wal") }
func (r *rekindleStore) close() error   { return r.e.Close() }

func (r *rekindleStore) queryable() storage.SampleAndChunkQueryable {
	return promstore.New(r.e.Tenant(tenant))
}

func (r *rekindleStore) pusher(f *bench.Feeder) pusher { return &rekindlePusher{e: r.e, f: f} }

type rekindlePusher struct {
	e *engine.Engine
	f *bench.Feeder
	b engine.Batch
}

func (p *rekindlePusher) push(ctx context.Context, scrape, lo, hi int) error {
	p.generate(scrape, lo, hi)
	result, err := p.e.Append(ctx, tenant, &p.b)
	if err == nil && result.Rejected > 0 {
		err = fmt.Errorf("%d of %d samples were rejected", result.Rejected, hi-lo)
	}
	return err
}

func (p *rekindlePusher) generate(scrape, lo, hi int) { p.f.Batch(&p.b, scrape, lo, hi) }

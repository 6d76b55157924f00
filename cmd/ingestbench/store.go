package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/prometheus/prometheus/storage"

	"github.com/rekindledb/rekindle/bench"
)

// store is a system under test, in this process.
type store interface {
	// pusher makes what one writer pushes with.
	pusher(f *bench.Feeder) pusher
	// logDir is where the log's segments are.
	logDir() string
	queryable() storage.SampleAndChunkQueryable
	close() error
}

// pusher writes samples lo to hi of a scrape as one request and returns when they are in the log.
type pusher interface {
	push(ctx context.Context, scrape, lo, hi int) error
	// generate does only what the workload itself does in a push, so that it can be taken off.
	generate(scrape, lo, hi int)
}

// openStore returns when the system is ready.
func openStore(ctx context.Context, s spec) (store, error) {
	switch s.System {
	case rekindle:
		return openRekindle(ctx, s)
	case prometheus:
		return openPrometheus(s)
	default:
		return nil, fmt.Errorf("no such system %q", s.System)
	}
}

// dirSize adds up the files below a directory.
func dirSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

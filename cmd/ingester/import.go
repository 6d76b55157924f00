package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/engine/takein"
)

// importer takes over the directory of -ingester.import-dir before the data directory is recovered. What was taken over
// before is left as it is, so that the flag can stay.
type importer struct {
	dir    string // "" = nothing
	tenant string // of a directory that is one tenant's
	state  atomic.Pointer[string]
}

// run does it. c is the engine's configuration; its data directory is locked.
func (i *importer) run(ctx context.Context, c engine.Config) error {
	if i.dir == "" {
		return nil
	}
	defer i.state.Store(nil)
	last := time.Now()
	reports, err := takein.Run(ctx, takein.Options{
		Source: i.dir, Default: i.tenant, Engine: c,
		Progress: func(what string, done, total int64) {
			if now := time.Now(); now.Sub(last) > importTick {
				last = now
				text := fmt.Sprintf("importing %s: %s, %d of %d MiB", i.dir, what, done>>20, total>>20)
				i.state.Store(&text)
				c.Logger.Info(text)
			}
		},
	})
	for _, r := range reports {
		log := c.Logger.Info
		if len(r.NotStored)+len(r.Lost) > 0 && !r.Before {
			log = c.Logger.Warn
		}
		log("imported", "tenant", r.Tenant, "source", r.Source, "before", r.Before, "series", r.Series, "samples", r.Samples,
			"out_of_order", r.OutOfOrder, "not_stored", r.NotStored, "dropped", r.Dropped, "notes", r.Notes)
	}
	if err != nil {
		return fmt.Errorf("-ingester.import-dir: %w", err)
	}
	return nil
}

const importTick = 3 * time.Second

// status is what an import under way says of itself, "" if there is none.
func (i *importer) status() string {
	if text := i.state.Load(); text != nil {
		return *text
	}
	return ""
}

// refuseChunkStorage fails if a directory is the one of Cortex's documented chunk-storage ingester: what is in it would
// not be seen, and acknowledged samples would seem lost.
func refuseChunkStorage(dir string) error {
	old, err := takein.ChunkStorageWAL(dir)
	if err != nil || old == "" {
		return err
	}
	return fmt.Errorf("-ingester.wal-dir=%s holds %s, in a format that this program does not go on with. Nothing was changed. "+
		"Move its files to another directory and take them over from there: ingestctl import <that directory> -into %[1]s", dir, old)
}

package main

import (
	"context"
	"errors"
	"log/slog"
)

// runFlusher is -target=flusher, a job on a volume that an ingester left behind: it recovers what is there, makes it safe,
// and ends. It joins no ring and answers nothing. The directory's lock keeps it off the volume of one that lives.
func runFlusher(ctx context.Context, o *options, logger *slog.Logger, db database) error {
	id, err := db.open()
	if err != nil {
		return err
	}
	logger.Info("flushing", "instance", id, "dir", o.Ingester.WAL.Dir)
	if err = db.recover(ctx); err == nil {
		err = db.flush(ctx, nil)
	}
	if err = errors.Join(err, db.close()); err != nil || o.Flusher.Exit {
		return err
	}
	logger.Info("done; waiting to be told to end (-flusher.exit-after-flush=false)")
	<-ctx.Done()
	return nil
}

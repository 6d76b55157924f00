package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// runFlusher is -target=flusher, a job on a volume that an ingester left behind: it recovers what is there, makes it safe,
// and ends. It joins no ring and answers nothing. The directory's lock keeps it off the volume of one that lives here, the
// ring off that of one that lives elsewhere.
func runFlusher(ctx context.Context, o *options, logger *slog.Logger, db database) error {
	id, err := db.open()
	if err != nil {
		return err
	}
	if err := ownerGone(ctx, o, logger, id); err != nil {
		return errors.Join(err, db.close())
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

// ownerGone fails if the ring hears of the volume's owner.
func ownerGone(ctx context.Context, o *options, logger *slog.Logger, id string) error {
	l := &o.Ingester.Lifecycler
	if l.Ring.KVStore.Store == storeInMemory {
		return nil
	}
	m, err := newMembership(o, nil, logger, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	d, err := m.Look(ctx)
	if err != nil {
		return err
	}
	in, there := d.Instances[id]
	if beat := time.Unix(in.Timestamp, 0); there && in.Healthy(time.Now(), l.Ring.HeartbeatTimeout) {
		return fmt.Errorf("instance %s, whose volume this is, is %s in the ring and was heard of at %s: stop it first, and try again when that is %v ago", id, in.State, beat.Format(time.RFC3339), l.Ring.HeartbeatTimeout)
	}
	return nil
}

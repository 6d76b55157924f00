package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/walio"
)

// A start that is killed before it is ready, by a probe that has no patience or by a limit of memory, has done
// nothing for the next one: it would be killed at the same place for ever. The third start in a row therefore goes
// carefully: it replays the log in small windows, and after each stretch of it writes an image of one stripe after
// another. Whenever it is killed, the next start goes on behind the last of these images.
//
// It takes longer, by an image of what changed for each stretch; therefore a stretch is as long as the images. A start
// that ends before the first of its stretches makes those of the next one half as long, so that in the end a stretch
// and its images fit into whatever time starts are given. Behind damage no more images are written.

const (
	// carefulWindow is in samples, the most that are decoded together.
	carefulWindow = 32 << 10
	// carefulSegments is the least length of a stretch at first: 64 MiB of log at the default size, some 8M samples.
	carefulSegments = 4
	// carefulHalves is how often that is halved at most.
	carefulHalves = 6
)

// recoverCarefully makes a recovery write images as it goes. done gives back what that takes.
func (t *Tenant) recoverCarefully(store *ckpt.Store, epoch uint64, opts *walio.RecoverOptions) (done func()) {
	opts.Window = carefulWindow
	if !t.e.cfg.WAL || !t.e.cfg.Checkpoint {
		return func() {}
	}
	if err := disk.MkdirAllSync(t.e.cfg.FS, t.chunksPath(), 0o755); err != nil {
		t.e.cfg.Logger.Error("no progress of this start can be made durable", "tenant", t.id, "err", err)
		return func() {}
	}
	t.epoch = epoch // of whoever wrote the log
	m := newImager(t, store)
	m.bufs = make([]copyBuffer, 1)
	opts.SettleBytes = max(carefulSegments*t.e.cfg.SegmentSize, t.recovered.ImageBytes) >> t.e.starts.Halves
	opts.Settle = m.settle
	return m.release
}

// settle writes images of all stripes that the replay has changed.
func (m *imager) settle(ctx context.Context, at walio.Settled) error {
	begun, images := time.Now(), 0
	m.segment = at.NextSegment
	for i := range m.t.stripes {
		s := &m.t.stripes[i]
		if !s.replayed {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.settleStripe(s, at); err != nil {
			// The replay goes on without it; the image before is still there.
			m.t.e.cfg.Logger.Error("an image could not be written; this start goes on without", "tenant", m.t.id, "stripe", i, "err", err)
			continue
		}
		images++
		m.t.e.cfg.crash("settled")
	}
	m.t.e.settled()
	m.t.e.cfg.Logger.Info("the start so far is durable", "tenant", m.t.id, "commit", at.Commit, "images", images, "seconds", time.Since(begun).Seconds())
	return nil
}

func (m *imager) settleStripe(s *stripe, at walio.Settled) error {
	b := &m.bufs[0]
	m.prepare(s, b)
	s.mu.Lock()
	// The log behind this image will not be read again: what finishStripes learns from it must be in the image.
	s.passIndex(at.MaxIndex[s.id])
	s.root.drained = at.Commit
	s.a.TouchRoot()
	x := m.shoot(s, at.Commit, b)
	s.mu.Unlock()
	defer s.imaging.Store(0)
	if err := m.write(&x); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := s.chunks.sync(&s.mu); err != nil {
		return fmt.Errorf("sync closed chunks: %w", err)
	}
	if err := x.w.Sync(); err != nil {
		return err
	}
	if err := m.store.Publish(ckpt.Update{Images: []*ckpt.Writer{x.w}, SyncedThrough: at.Commit, NextSegment: at.NextSegment}); err != nil {
		return err
	}
	s.replayed = false
	s.since.set(int64(x.meta.Extents)*arena.ExtentSize, int64(x.meta.MaxIndex)+1, time.Now())
	s.chunks.dropOrphans()
	return nil
}

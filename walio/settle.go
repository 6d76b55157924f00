package walio

import (
	"context"
	"errors"
	"fmt"
)

// Settled is a moment of a replay at which every stripe has got the commits up to one, and none behind it.
type Settled struct {
	Commit uint64
	// MaxIndex is the greatest series index seen so far, by stripe.
	MaxIndex []uint64
	// NextSegment is greater than the number of every segment.
	NextSegment uint64
}

// settlements calls RecoverOptions.Settle between stretches of the log.
type settlements struct {
	r      *recovery
	synced bool
}

// stretch returns the extents to replay before the next settlement.
func (s *settlements) stretch(rest []extent) []extent {
	if s.r.opts.Settle == nil {
		return rest
	}
	size := int64(0)
	for i, e := range rest {
		if size += e.end - e.off; size >= s.r.opts.SettleBytes {
			return rest[:i+1]
		}
	}
	return rest
}

// settle offers a moment to the caller. None at or behind damage: what that has cost is entered in the ledger at the
// end, and images of what is behind it would hide it from the next start.
func (s *settlements) settle(ctx context.Context, commit uint64, partial []partialIn) error {
	r := s.r
	if r.opts.Settle == nil || len(partial) > 0 || len(r.result.Losses) > 0 {
		return nil
	}
	for _, g := range r.plan.gaps {
		if g.first <= commit {
			return nil
		}
	}
	if !s.synced {
		// An image must not know more than the log, and all of the log that is there may be in the page cache only.
		if err := s.sync(); err != nil {
			r.opts.Logger.Error("no progress of this start can be made durable", "err", err)
			return nil
		}
		s.synced = true
	}
	next := uint64(0)
	for _, seg := range r.segments {
		next = max(next, uint64(seg.num)+1)
	}
	return r.opts.Settle(ctx, Settled{Commit: commit, MaxIndex: r.result.MaxIndex, NextSegment: next})
}

func (s *settlements) sync() error {
	for _, seg := range s.r.segments {
		f, err := s.r.opts.FS.OpenRW(seg.path)
		if err != nil {
			return fmt.Errorf("walio: sync a segment that an earlier process wrote: %w", err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("walio: sync a segment that an earlier process wrote: %w", err)
		}
	}
	return s.r.opts.FS.SyncDir(s.r.opts.Dir)
}

package ckpt

import (
	"fmt"
)

// Update is what a publication changes. Everything that is left zero stays as it is.
type Update struct {
	// Images that were written, walked and synced.
	Images []*Writer
	// Unsynced allows images that were not synced: those of a clean stop. They are entered as such.
	Unsynced bool
	// Idle moves the images of stripes that got nothing; after Images.
	Idle []Idle

	// SyncedThrough is the commit through which the log is synced. No image and no idle stripe may be beyond
	// the greatest one ever published.
	SyncedThrough uint64
	// NextSegment is a number greater than that of every complete segment of the log.
	NextSegment uint64
	// Floor is the time below which nothing is accepted any more. It never falls.
	Floor *int64
	// Epoch and EpochStart begin a new epoch; both or none.
	Epoch, EpochStart uint64
}

// Idle says that a stripe got no entries in the commits (Since, To]. Its images that hold everything up to
// Since are thereby images at To. With Since 0, a stripe without an image becomes known as empty up to To.
type Idle struct {
	Stripe    int
	Since, To uint64
}

// Publish makes an update durable. After an error the update is not in effect in this process, though it may be
// found on disk by the next one, which does no harm; it may be tried again with the same writers.
func (s *Store) Publish(u Update) error {
	s.publishing.Lock()
	defer s.publishing.Unlock()

	s.mu.Lock()
	next := s.cat.clone()
	s.mu.Unlock()
	if err := s.apply(next, &u); err != nil {
		return err
	}
	if err := s.file.write(next); err != nil {
		return err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.cat = next
	s.stats.Publications++
	s.stats.Images += uint64(len(u.Images))
	for _, w := range u.Images {
		w.stage = published
		w.slot.whole = true
		s.stripes[w.stripe].writer = nil
	}
	return nil
}

// apply changes c by u, if that is allowed.
func (s *Store) apply(c *Catalogue, u *Update) error {
	c.SyncedThrough = max(c.SyncedThrough, u.SyncedThrough)
	c.NextSegment = max(c.NextSegment, u.NextSegment)
	if u.Floor != nil {
		c.Floor = max(c.Floor, *u.Floor)
	}
	if u.Epoch != 0 {
		if u.Epoch <= c.Epoch {
			return fmt.Errorf("ckpt: begin epoch %d: the catalogue is at epoch %d already", u.Epoch, c.Epoch)
		}
		c.Epoch, c.EpochStart = u.Epoch, u.EpochStart
	}
	least := synced
	if u.Unsynced {
		least = walked
	}
	for _, w := range u.Images {
		if err := w.check(least, synced); err != nil {
			return err
		}
		if w.meta.Commit > c.SyncedThrough {
			return fmt.Errorf("%w: stripe %d is at commit %d, the log is synced through %d", ErrOrder, w.stripe, w.meta.Commit, c.SyncedThrough)
		}
		c.push(w.stripe, Entry{Slot: w.Slot, Commit: w.meta.Commit, Header: w.header, Synced: w.stage == synced})
	}
	for _, i := range u.Idle {
		if i.To > c.SyncedThrough {
			return fmt.Errorf("%w: idle stripe %d to commit %d, the log is synced through %d", ErrOrder, i.Stripe, i.To, c.SyncedThrough)
		}
		c.idle(i.Stripe, i.Since, i.To)
	}
	return nil
}

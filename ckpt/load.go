package ckpt

import (
	"errors"
	"fmt"

	"github.com/rekindledb/rekindle/arena"
)

// Loaded is what Load found.
type Loaded struct {
	// Found is false if the stripe has no image: there was none, or none was intact. The log is then needed from
	// its beginning.
	Found bool
	// Entry is the one that was used. The log is replayed from the commits after Entry.Commit. Its Slot is
	// SlotNone if the stripe is known to be empty up to there; take was not called for it.
	Entry Entry
	// Failed are the images that could not be used, newest first, and why. errors.Is(err, ErrUnfinished) is
	// what a crash leaves and nothing is lost by it; the others are damage.
	Failed []error
}

// Load finds the newest intact image of a stripe: take gets each in turn, newest first, until it returns nil.
// take reads it into an arena (Image.ReadTo) and walks over it. An error that satisfies
// errors.Is(err, arena.ErrDamaged) means that the image is not intact: it is given up, the next one is tried,
// and the next Begin will write over it. Any other error (out of memory, a newer version's image) ends Load:
// the image may be good, and nothing is decided.
//
// It may be called for different stripes at once, once a stripe, before the first Begin.
func (s *Store) Load(stripe int, take func(*Image) error) (Loaded, error) {
	var l Loaded
	for _, e := range s.Entries(stripe) {
		err := s.try(stripe, e, take)
		if err == nil {
			l.Found, l.Entry = true, e
			return l, nil
		}
		if !errors.Is(err, arena.ErrDamaged) {
			return l, fmt.Errorf("ckpt: load image %s of stripe %d: %w", e.Slot, stripe, err)
		}
		l.Failed = append(l.Failed, err)
		s.reject(stripe, e.Slot)
	}
	return l, nil
}

func (s *Store) try(stripe int, e Entry, take func(*Image) error) error {
	if e.Slot == SlotNone {
		return nil
	}
	slot := &s.stripes[stripe].slots[e.Slot]
	im, err := slot.openImage(&s.id, stripe, e)
	if err == nil {
		err = take(im)
	}
	var c *CorruptError
	if !e.Synced && errors.As(err, &c) {
		// Written by a clean stop; the power went before it reached the disk.
		c.Unfinished = true
	}
	return err
}

// reject forgets an image. On disk it stays named until the next publication.
func (s *Store) reject(stripe int, slot SlotID) {
	s.publishing.Lock() // a publication under way would bring it back
	defer s.publishing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cat.drop(stripe, slot)
	s.stripes[stripe].slots[slot].whole = false
	s.stats.Rejected++
}

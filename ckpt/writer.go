package ckpt

import (
	"fmt"

	"github.com/rekindledb/rekindle/arena"
)

// Writer is one image on its way into a slot. Its methods are called in the order in which they stand here,
// by one goroutine, and then Store.Publish. One that is not published is forgotten: the next Begin of the
// stripe gives another one that writes everything.
type Writer struct {
	// Slot is where it goes: the one that does not hold the stripe's newest synced image. arena.Copy
	// wants it.
	Slot SlotID
	// All says that every extent is needed, because what the slot holds is not known, and not only those
	// that changed since it was written.
	All bool

	store  *Store
	stripe int
	slot   *slot

	meta   Meta
	header uint64
	stage  stage
}

// stage is how far a writer has come.
type stage uint8

const (
	failed stage = iota
	begun
	written
	walked
	synced
	published
)

// Begin starts an image of a stripe. The slot's contents are lost from here on, as far as the next image is
// concerned: call it when the image is about to be copied.
func (s *Store) Begin(stripe int) *Writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, slot := s.next(stripe)
	w := &Writer{store: s, stripe: stripe, Slot: id, slot: slot, All: !slot.whole, stage: begun}
	slot.whole = false
	s.stripes[stripe].writer = w
	return w
}

// NeedsAll reports whether the next image of a stripe needs every extent: what the Writer's All will be.
func (s *Store) NeedsAll(stripe int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, slot := s.next(stripe)
	return !slot.whole
}

// next is where the next image of a stripe goes.
func (s *Store) next(stripe int) (SlotID, *slot) {
	id := SlotA
	if e, ok := s.cat.newest(stripe); ok && (e.Slot == SlotA) == e.Synced {
		// The newest image stays as it is. If it was never synced, the older one and the log are what a power cut
		// leaves, and they stay.
		id = SlotB
	}
	return id, &s.stripes[stripe].slots[id]
}

func (w *Writer) check(least, most stage) error {
	w.store.mu.Lock()
	current := w.store.stripes[w.stripe].writer == w
	w.store.mu.Unlock()
	if !current {
		return ErrStale
	}
	if w.stage < least || w.stage > most {
		return fmt.Errorf("%w: stripe %d is at step %d of writing", ErrOrder, w.stripe, w.stage)
	}
	return nil
}

// Write puts the image into its slot: runs are the changed extents (all, if All), ascending, each in one run
// only. They may be used again when Write returns. Nothing is synced. After an error the slot holds no image,
// the stripe's newest one is untouched, and the writer is of no further use.
func (w *Writer) Write(m Meta, runs []arena.Run) error {
	if err := w.check(begun, begun); err != nil {
		return err
	}
	if err := w.checkMeta(&m, runs); err != nil {
		return err
	}
	w.stage = failed // until it is known better
	h := newHeader(&w.store.id, w.stripe, m, 0)
	sum, n, err := w.slot.write(&h, runs)
	w.store.count(func(st *Stats) { st.ImageBytes += uint64(n) })
	if err != nil {
		return err
	}
	w.meta, w.header, w.stage = m, sum, written
	return nil
}

// checkMeta makes sure that the slot will hold every extent of the image.
func (w *Writer) checkMeta(m *Meta, runs []arena.Run) error {
	if m.Extents > maxExtents || len(m.Chunks) > maxChunkFiles {
		return fmt.Errorf("ckpt: image of stripe %d has %d extents and %d chunk files, at most %d and %d fit",
			w.stripe, m.Extents, len(m.Chunks), maxExtents, maxChunkFiles)
	}
	next, missing := uint64(0), uint64(0) // where the next run may begin, the first extent that is still missing
	if !w.All {
		missing = uint64(w.slot.extents)
	}
	for _, r := range runs {
		first, end := uint64(r.First), uint64(r.First)+uint64(len(r.Data)/ExtentSize)
		switch {
		case len(r.Data) == 0 || len(r.Data)%ExtentSize != 0:
			return fmt.Errorf("%w: stripe %d: a run of %d bytes", ErrRuns, w.stripe, len(r.Data))
		case first < next || end > uint64(m.Extents):
			return fmt.Errorf("%w: stripe %d: a run of extents [%d, %d) after extent %d in an image of %d", ErrRuns, w.stripe, first, end, next, m.Extents)
		}
		next = end
		if first <= missing && end > missing {
			missing = end
		}
	}
	if missing < uint64(m.Extents) {
		return fmt.Errorf("%w: stripe %d: extent %d of %d is new in slot %s and not among the runs", ErrRuns, w.stripe, missing, m.Extents, w.Slot)
	}
	return nil
}

// Sync makes the image durable. What it names must be durable before: the log up to its commit, the chunk
// files up to their lengths. After an error the image must be written again, whole, which Begin sees to.
func (w *Writer) Sync() error {
	if err := w.check(walked, synced); err != nil {
		return err
	}
	w.stage = failed // a second sync may succeed without anything on disk
	if err := w.slot.sync(); err != nil {
		return err
	}
	w.stage = synced
	return nil
}

// Commit is the commit of the image written.
func (w *Writer) Commit() uint64 { return w.meta.Commit }

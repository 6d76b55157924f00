package ckpt

import (
	"slices"
)

// Catalogue is a tenant's list of images and what else must be known before the log is read.
type Catalogue struct {
	Identity
	Seq uint64 // counts the copies ever written

	// Epoch is bumped by whoever takes the directory over; commits from EpochStart on count only if they are of
	// this epoch. What a frozen owner still writes when it wakes has an older one.
	Epoch      uint64
	EpochStart uint64

	Floor         int64  // ms; nothing below it is accepted, replayed or taken from an image
	SyncedThrough uint64 // the log was synced through this commit when the catalogue was written, or further
	NextSegment   uint64 // no segment of the log has this number or a greater one and was complete; 0 = none known
	Created       int64  // ms since the epoch

	// Images of each stripe, newest first, at most two, of different slots.
	Images [][]Entry
}

func (c *Catalogue) clone() *Catalogue {
	d := *c
	d.Images = make([][]Entry, len(c.Images))
	for i, e := range c.Images {
		d.Images[i] = slices.Clone(e)
	}
	return &d
}

// newest is the newest entry of a stripe, if it has one.
func (c *Catalogue) newest(stripe int) (Entry, bool) {
	if e := c.Images[stripe]; len(e) > 0 {
		return e[0], true
	}
	return Entry{}, false
}

// push makes e the newest of its stripe. Of the others, the newest in another slot is kept as the older one.
func (c *Catalogue) push(stripe int, e Entry) {
	c.drop(stripe, e.Slot)
	older := c.Images[stripe]
	c.Images[stripe] = append([]Entry{e}, older[:min(len(older), 1)]...)
}

// idle moves the images of a stripe that got nothing in the commits (since, to].
func (c *Catalogue) idle(stripe int, since, to uint64) {
	if len(c.Images[stripe]) == 0 && since == 0 {
		c.Images[stripe] = []Entry{{Slot: SlotNone, Synced: true}}
	}
	for i := range c.Images[stripe] {
		if e := &c.Images[stripe][i]; e.Commit >= since {
			e.Commit = max(e.Commit, to)
		}
	}
}

// drop takes an entry out.
func (c *Catalogue) drop(stripe int, slot SlotID) {
	c.Images[stripe] = slices.DeleteFunc(c.Images[stripe], func(e Entry) bool { return e.Slot == slot })
}

// cutPoint is the greatest commit that no image needs the log for. The newest image alone is not enough: it may
// turn out to be damaged. An empty image cannot be.
func (c *Catalogue) cutPoint() uint64 {
	cut := ^uint64(0)
	for _, entries := range c.Images {
		switch {
		case len(entries) == 2 || len(entries) == 1 && entries[0].Slot == SlotNone:
			cut = min(cut, entries[len(entries)-1].Commit)
		default:
			return 0
		}
	}
	return cut
}

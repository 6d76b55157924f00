package engine

import (
	"slices"
	"sync/atomic"
	"time"
)

// cutting lets the log drop what no image needs any more. Before that the log's checkpoint gets the names of the series
// made since the one before, and after a flood of new series these are more bytes than many images: they are written
// beside the images, at a fraction of their rate, unless there is a hurry.
type cutting struct {
	hurry atomic.Bool
	rate  atomic.Int64 // bytes per second

	// Owned by the imager goroutine.
	last uint64     // the log was cut up to here
	to   uint64     // and is being cut up to here
	done chan error // by the goroutine that does; nil without one
}

const (
	// cutShare is the part of the images' rate at which a checkpoint of the log is written.
	cutShare = 3
	// cutStep is how much is written between two looks whether there is a hurry, cutPause the longest time between them.
	cutStep  = 64 << 10
	cutPause = time.Second
)

// slowly sets the pace by a round of images of so many bytes, the next one being due after interval.
func (c *cutting) slowly(size uint64, interval time.Duration) {
	c.rate.Store(int64(float64(size) / max(interval.Seconds(), 1e-3) / cutShare))
}

// cut begins to cut the log as far as the images allow, if it is not being cut yet, and sees to what became of the last
// time. It waits for the end only if somebody waits for the images, or they are late, which is when the log grows fast.
func (m *imager) cut() error {
	c := &m.cutting
	c.hurry.Store(m.waiting.Load() > 0 || m.interval == 0 || m.t.ctx.Err() != nil || m.late())
	if err := c.end(c.hurry.Load()); err != nil || c.done != nil {
		return err
	}
	to := m.store.CutPoint()
	if to <= c.last || slices.Contains(m.broken, true) {
		return nil
	}
	m.t.e.cfg.crash("cut")
	done := make(chan error, 1)
	c.to, c.done = to, done
	m.t.running.Go(func() { done <- m.t.wal.Cut(to, m.t) })
	return c.end(c.hurry.Load())
}

// end takes the result of a cut that has ended, or waits for it.
func (c *cutting) end(wait bool) (err error) {
	if c.done == nil {
		return nil
	}
	if wait {
		err = <-c.done
	} else {
		select {
		case err = <-c.done:
		default:
			return nil
		}
	}
	c.done = nil
	if err == nil {
		c.last = c.to
	}
	return err
}

// paceCheckpoint is walio.Options.PaceCheckpoint. A clean stop does not wait for a checkpoint: the next start goes on
// without it.
func (t *Tenant) paceCheckpoint(n int) error {
	t.e.cfg.crash("cutting")
	m := t.images
	for c := &m.cutting; n > 0 && !c.hurry.Load() && m.waiting.Load() == 0; n -= cutStep {
		select {
		case <-t.ctx.Done():
			return t.ctx.Err()
		case <-time.After(c.pause(min(n, cutStep))):
		}
	}
	return nil
}

// pause is how long n bytes take at the pace.
func (c *cutting) pause(n int) time.Duration {
	return min(time.Duration(float64(n)/float64(max(c.rate.Load(), 1))*float64(time.Second)), cutPause)
}

package engine

import (
	"math/bits"
	"slices"

	"github.com/rekindledb/rekindle/walio"
)

// order brings samples of a stripe from the order of the log, scrape after scrape, into the order of memory,
// series after series: a record and an open chunk are then fetched once for all their samples. Samples of one
// series keep their order.
type order struct {
	base    int64 // what the samples' times are offsets from
	samples []walio.RefSample
	next    []uint32 // of a bucket: where its next sample goes
}

// orderMax is how many samples are ordered at a time, to the next whole run: all of a stripe in a round of the replay,
// if 16 stripes share it evenly, and yet within the reach of a cache.
const orderMax = 384 << 10

// load orders the next samples behind c. It returns false if there are none. indexes is the number of indexes
// in use, which all but a damaged log stays below.
func (o *order) load(c *cursor, indexes uint32) bool {
	from, n, runs := *c, 0, 0
	for n < orderMax {
		run, _ := c.next()
		if run == nil {
			break
		}
		n += len(run)
		runs++
	}
	for n > 0 {
		placed := o.place(from, runs, n, indexes)
		if placed == runs {
			return true
		}
		// A run of another time: it is for the next call.
		runs, n, *c = placed, 0, from
		for range runs {
			run, _ := c.next()
			n += len(run)
		}
	}
	return false
}

// place orders the n samples of some runs. It returns how many of the runs have times that are within offsets from that of
// the first; if not all, nothing is ordered.
func (o *order) place(from cursor, runs, n int, indexes uint32) (placed int) {
	// A bucket a series, or as many series as make the buckets no more than the samples.
	shift := max(0, bits.Len32(indexes)-bits.Len32(uint32(n)))
	last := indexes >> shift
	o.next = slices.Grow(o.next[:0], int(last)+2)[:last+2]
	clear(o.next)
	for k, c := 0, from; k < runs; k++ {
		run, _ := c.next()
		for i := range run {
			o.next[min(run[i].Index>>shift, last)+1]++
		}
	}
	for i := range last + 1 {
		o.next[i+1] += o.next[i]
	}
	if n > cap(o.samples) {
		room := n
		if n > orderMax/4 { // once for all: growing would leave as much behind
			room = max(n, orderMax+orderMax/8)
		}
		o.samples = make([]walio.RefSample, room)
	}
	o.samples = o.samples[:n]
	for k, c := 0, from; k < runs; k++ {
		run, base := c.next()
		if k == 0 {
			o.base = base
		}
		apart := base - o.base
		for i := range run {
			x := run[i]
			off := int64(x.Offset) + apart
			x.Offset = int32(off)
			if int64(x.Offset) != off {
				return k
			}
			at := &o.next[min(x.Index>>shift, last)]
			o.samples[*at] = x
			*at++
		}
	}
	return runs
}

// cursor walks over the runs of samples of some windows.
type cursor struct {
	windows []walio.StripeWindow
	run     int
}

// next returns the next run and what its times are offsets from; nil at the end.
func (c *cursor) next() (run []walio.RefSample, base int64) {
	for ; len(c.windows) > 0; c.windows, c.run = c.windows[1:], 0 {
		for w := &c.windows[0]; c.run < len(w.Runs); {
			r := &w.Runs[c.run]
			c.run++
			if r.Kind == walio.RunSamples && r.Lo < r.Hi {
				return w.Samples[r.Lo:r.Hi], r.Base
			}
		}
	}
	return nil, 0
}

package walio

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// replay is the second pass of recovery. It takes the log in rounds:
//
//	extents  0 1 2 3 │ 4 5 6 7 8 │ 9 ...
//	                  └─ a round ┘  1. the workers decode its extents, each into a window of its own
//	                                2. damage is looked at, in log order
//	                                3. the workers apply it, each stripe by one of them, all windows at once
//
// A round is as long as memory allows: the more samples of a series are applied together, the fewer times its
// record and its chunk are fetched from memory, and that is most of what replay costs.
type replay struct {
	handler   Handler
	extents   []extent
	filter    filter
	maxSynced uint64
	load      uint64 // the most that a round holds
	progress  func(bytes int64, samples uint64)

	windows []*window
	memory  roundMemory
	most    int // of it, in samples, that a round of several extents can need

	end     uint64
	ended   bool // the log ends before the last extent: the second pass found the damage
	totals  replayTotals
	partial []partialIn

	lastReport time.Time
}

type replayTotals struct {
	read, applied Totals
	commits       uint64
	bytes         int64
	maxIndex      [stripesMax]uint64
}

// partialIn is a partial commit and the segment that it stands in.
type partialIn struct {
	partialCommit
	extent extent
}

// run replays all extents, with one decoder a worker.
func (r *replay) run(ctx context.Context, workers int, newDecoder func() *extentDecoder) error {
	decoders := make([]*extentDecoder, workers)
	parts := make([][]StripeWindow, workers)
	for i := range decoders {
		decoders[i] = newDecoder()
		defer decoders[i].close()
	}
	defer r.release()
	for i := range r.extents {
		r.most = min(r.most+r.extents[i].room(), int(r.load))
	}
	for rest := r.extents; len(rest) > 0 && !r.ended; {
		round := r.next(rest)
		windows := r.prepare(round)
		err := parallel(ctx, workers, len(round), func(worker, i int) error {
			return decoders[worker].decode(windows[i], round[i])
		})
		if err != nil {
			return err
		}
		if windows, err = r.check(decoders[0], windows); err != nil {
			return err
		}
		err = parallel(ctx, workers, r.filter.stripes, func(worker, stripe int) error {
			p := parts[worker][:0]
			for _, w := range windows {
				if len(w.runs[stripe]) > 0 {
					p = append(p, StripeWindow{Runs: w.runs[stripe], Series: w.series, Samples: w.samples})
				}
			}
			parts[worker] = p
			if len(p) == 0 {
				return nil
			}
			err := r.handler.Apply(stripe, p)
			clear(p) // the memory of a round may be gone in the next
			return err
		})
		if err != nil {
			return err
		}
		r.finish(windows)
		rest = rest[len(round):]
	}
	return ctx.Err()
}

// parallel calls do for 0 to n-1, spread over the workers, until one call fails.
func parallel(ctx context.Context, workers, n int, do func(worker, i int) error) error {
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for worker := range min(workers, n) {
		g.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := do(worker, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// next returns the extents of the next round.
func (r *replay) next(rest []extent) []extent {
	load, n := uint64(0), 0
	for n < len(rest) && (n == 0 || load+rest[n].counts.load() <= r.load) {
		load += rest[n].counts.load()
		n++
	}
	return rest[:n]
}

// prepare returns a window for each extent of a round. They share one array for samples and keys, which is nearly all
// the memory that replay takes, however long the log is.
func (r *replay) prepare(round []extent) []*window {
	total := 0
	for i := range round {
		total += round[i].room()
	}
	total = max(total, r.most)
	if !r.memory.holds(total) {
		r.release()
	}
	for len(r.windows) < len(round) {
		r.windows = append(r.windows, &window{})
	}
	all := r.memory.get(total)
	for i := range round {
		w, n := r.windows[i], round[i].samplesExpected()
		w.samples, all = all[:0:n], all[n:]
		n = round[i].room() - n
		w.bytes, all = bytesIn(all[:n:n])[:0], all[n:]
	}
	return r.windows[:len(round)]
}

// release gives the memory of rounds back, and lets go of the windows, which point at it.
func (r *replay) release() {
	r.windows = nil
	r.memory.release()
}

// check looks at the damage that decoding found, now that everything before is decoded. A damaged commit that
// nothing says was durable ends the log.
func (r *replay) check(d *extentDecoder, windows []*window) ([]*window, error) {
	for i, w := range windows {
		for _, p := range w.partial {
			if p.commit <= r.maxSynced {
				continue
			}
			r.end, r.ended = p.commit-1, true
			e := w.extent
			e.last, e.trimmed = r.end, true
			if err := d.decode(w, e); err != nil { // without that commit and those behind it
				return nil, err
			}
			windows = windows[:i+1]
			break
		}
		for _, p := range w.partial {
			r.partial = append(r.partial, partialIn{p, w.extent})
		}
		if r.ended {
			break
		}
	}
	return windows, nil
}

// finish counts an applied round.
func (r *replay) finish(windows []*window) {
	t := &r.totals
	for _, w := range windows {
		t.read, t.applied = t.read.plus(w.counts), t.applied.plus(w.applied)
		t.commits += w.commits
		t.bytes += w.extent.end - w.extent.off
		for i, index := range w.maxIndex {
			t.maxIndex[i] = max(t.maxIndex[i], index)
		}
	}
	if now := time.Now(); r.progress != nil && now.Sub(r.lastReport) > progressInterval {
		r.lastReport = now
		r.progress(t.bytes, t.applied.Samples)
	}
}

const progressInterval = 50 * time.Millisecond

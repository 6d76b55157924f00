package walio

import (
	"context"
	"sync"
	"time"
)

// replay is the second pass of recovery: a few workers decode extents to windows and apply them, stripe by
// stripe, in order.
//
//	extents  0 1 2 3 4 5 ...
//	              │ │ └── being decoded, each by one worker
//	              │ └──── decoded, waiting
//	              └────── being applied: its stripes are handed out to the workers one by one
//
// A worker prefers applying: it frees a window. There are Workers+1 windows, and that is all the memory
// that replay takes, however long the log is.
type replay struct {
	handler   Handler
	extents   []extent
	filter    filter
	maxSynced uint64
	progress  func(bytes int64, samples uint64)

	mu sync.Mutex
	// moved is signalled when there may be something to do for an idle worker.
	moved *sync.Cond

	// Under mu.
	windows    []*window // of the extents nextApply.. : window i%len
	state      []windowState
	nextDecode int
	nextApply  int
	nextStripe int // of the window being applied
	busy       int // stripes being applied
	end        uint64
	ended      bool // the log ends before the last extent: the second pass found the damage
	err        error
	totals     replayTotals
	partial    []partialIn
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

type windowState uint8

const (
	windowFree windowState = iota
	windowDecoding
	windowDecoded
	windowChecking // its damage is looked at
	windowApplying
)

// run replays all extents, with one decoder a worker.
func (r *replay) run(ctx context.Context, workers int, newDecoder func() *extentDecoder) error {
	r.moved = sync.NewCond(&r.mu)
	r.windows = make([]*window, workers+1)
	r.state = make([]windowState, len(r.windows))
	for i := range r.windows {
		r.windows[i] = &window{}
	}
	stop := context.AfterFunc(ctx, func() { r.fail(ctx.Err()) })
	defer stop()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			d := newDecoder()
			defer d.close()
			r.work(d)
		})
	}
	wg.Wait()
	r.mu.Lock() // a late cancellation may still be on its way
	defer r.mu.Unlock()
	return r.err
}

func (r *replay) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failLocked(err)
}

func (r *replay) failLocked(err error) {
	if r.err == nil {
		r.err = err
	}
	r.moved.Broadcast()
}

func (r *replay) work(d *extentDecoder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.err == nil && r.nextApply < len(r.extents) {
		slot := r.nextApply % len(r.windows)
		switch {
		case r.state[slot] == windowDecoded:
			r.check(d, slot)
		case r.state[slot] == windowApplying && r.nextStripe < r.filter.stripes:
			r.applyStripe(slot)
		case r.nextDecode < len(r.extents) && r.nextDecode < r.nextApply+len(r.windows):
			r.decode(d)
		default:
			r.moved.Wait()
		}
	}
}

// decode decodes the next extent. mu is held, but not while decoding; so it is with check and applyStripe.
func (r *replay) decode(d *extentDecoder) {
	i := r.nextDecode
	slot := i % len(r.windows)
	r.nextDecode++
	r.state[slot] = windowDecoding
	w := r.windows[slot]
	r.mu.Unlock()
	err := d.decode(w, r.extents[i])
	r.mu.Lock()
	if err != nil {
		r.failLocked(err)
		return
	}
	r.state[slot] = windowDecoded
	r.moved.Broadcast()
}

// check looks at the damage that decoding found, now that everything before is applied, and begins to
// apply the window. A damaged commit that nothing says was durable ends the log.
func (r *replay) check(d *extentDecoder, slot int) {
	w := r.windows[slot]
	r.state[slot] = windowChecking
	for _, p := range w.partial {
		if p.commit <= r.maxSynced {
			continue
		}
		e := w.extent
		e.last, e.trimmed = p.commit-1, true
		r.extents = r.extents[:r.nextApply+1]
		r.end, r.ended = e.last, true
		r.extents[r.nextApply] = e
		r.mu.Unlock()
		err := d.decode(w, e) // without that commit and those behind it
		r.mu.Lock()
		if err != nil {
			r.failLocked(err)
			return
		}
		break
	}
	for _, p := range w.partial {
		r.partial = append(r.partial, partialIn{p, w.extent})
	}
	r.state[slot] = windowApplying
	r.nextStripe, r.busy = 0, 0
	r.skipIdleStripes(w)
	r.finishIfApplied(slot)
	r.moved.Broadcast()
}

// applyStripe gives one stripe of the window being applied to the handler.
func (r *replay) applyStripe(slot int) {
	w, stripe := r.windows[slot], r.nextStripe
	r.nextStripe++
	r.skipIdleStripes(w)
	r.busy++
	r.mu.Unlock()
	err := r.handler.Apply(stripe, &StripeWindow{Runs: w.runs[stripe], Series: w.series, Samples: w.samples})
	r.mu.Lock()
	r.busy--
	if err != nil {
		r.failLocked(err)
		return
	}
	r.finishIfApplied(slot)
}

func (r *replay) skipIdleStripes(w *window) {
	for r.nextStripe < r.filter.stripes && len(w.runs[r.nextStripe]) == 0 {
		r.nextStripe++
	}
}

func (r *replay) finishIfApplied(slot int) {
	if r.nextStripe < r.filter.stripes || r.busy > 0 {
		return
	}
	w := r.windows[slot]
	t := &r.totals
	t.read, t.applied = t.read.plus(w.counts), t.applied.plus(w.applied)
	t.commits += w.commits
	t.bytes += w.extent.end - w.extent.off
	for i, index := range w.maxIndex {
		t.maxIndex[i] = max(t.maxIndex[i], index)
	}
	r.state[slot] = windowFree
	r.nextApply++
	if now := time.Now(); r.progress != nil && now.Sub(r.lastReport) > progressInterval {
		r.lastReport = now
		r.progress(t.bytes, t.applied.Samples)
	}
	r.moved.Broadcast()
}

const progressInterval = 50 * time.Millisecond

package walio

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// recovery is one run of Recover.
type recovery struct {
	opts    RecoverOptions
	handler Handler
	result  Result

	listing  listing
	segments []*segmentScan
	plan     *plan
	partial  []partialIn
	// from is RecoverOptions.From, raised where nothing can be missing; minFrom is the least of it: all images
	// contain the commits up to there.
	from    []uint64
	minFrom uint64

	checkpoint checkpoint
}

// Recover reads the log, gives the handler every commit that the images do not contain, once and in order,
// and leaves a log that Start can go on with and stock tools can read. It needs disk space only to repair
// damage. It may be cancelled at any time and run again.
func Recover(ctx context.Context, opts RecoverOptions, h Handler) (Result, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return Result{}, err
	}
	r := &recovery{opts: opts, handler: h}
	r.result.MaxIndex = make([]uint64, opts.Identity.Stripes)
	r.from = make([]uint64, opts.Identity.Stripes)
	copy(r.from, opts.From)
	for _, step := range []struct {
		do   func(context.Context) error
		time *time.Duration
	}{
		{r.scan, &r.result.ScanTime},
		{r.replay, &r.result.ReplayTime},
		{r.repair, &r.result.RepairTime},
	} {
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return r.result, err
		}
		*step.time = time.Since(began)
	}
	r.position()
	return r.result, nil
}

// scan is the first pass.
func (r *recovery) scan(ctx context.Context) error {
	var err error
	if r.listing, err = listDir(r.opts.FS, r.opts.Dir); err != nil {
		return err
	}
	for _, num := range r.listing.segments {
		r.segments = append(r.segments, &segmentScan{num: num, path: segmentPath(r.opts.Dir, num)})
	}
	if err := r.readHeaders(ctx, r.segments, segmentLog); err != nil {
		return err
	}
	if err := r.openCheckpoint(ctx); err != nil {
		return err
	}
	r.raiseFrom()
	r.skipOld()
	if err := r.scanAll(ctx, r.segments, segmentLog); err != nil {
		return err
	}
	synced := r.opts.SyncedThrough
	for _, from := range r.from {
		synced = max(synced, from) // an image is published when the log is synced to its commit
	}
	r.plan = makePlan(r.segments, r.minFrom, synced)
	r.result.MaxSynced, r.result.Fenced = r.plan.maxSynced, r.plan.fenced
	r.result.Segments = len(r.segments)
	for _, seg := range r.segments {
		r.result.Bytes += seg.size
	}
	return nil
}

// readHeaders reads the identity of every segment before anything else is done: a foreign or newer log is
// refused untouched.
func (r *recovery) readHeaders(ctx context.Context, segments []*segmentScan, kind byte) error {
	return r.forEach(ctx, segments, kind, (*scanner).readHeader)
}

func (r *recovery) scanAll(ctx context.Context, segments []*segmentScan, kind byte) error {
	var total, done atomic.Int64
	for _, seg := range segments {
		if !seg.skipped {
			total.Add(seg.size)
		}
	}
	return r.forEach(ctx, segments, kind, func(s *scanner, seg *segmentScan) error {
		if seg.skipped {
			return nil
		}
		err := s.scan(seg)
		r.report("scan", done.Add(seg.size), total.Load(), 0)
		return err
	})
}

// raiseFrom notes that a stripe for which the checkpoint names no series has missed nothing of what was cut.
func (r *recovery) raiseFrom() {
	c := &r.checkpoint.state
	if c.valid && len(r.segments) > 0 && r.segments[0].header != nil && r.segments[0].num > c.num {
		for i := range r.from {
			if c.maxIndex[i] == 0 {
				r.from[i] = max(r.from[i], r.segments[0].header.first-1)
			}
		}
	}
	r.minFrom = slices.Min(r.from)
}

// skipOld marks the segments that hold nothing but commits that all images contain. The next segment must
// itself begin at or below them: only then everything in this one was synced and never written again.
func (r *recovery) skipOld() {
	for i := 0; i+1 < len(r.segments); i++ {
		next := r.segments[i+1].header
		if r.segments[i].header == nil || next == nil || next.first > r.minFrom {
			return
		}
		r.segments[i].skipped = true
	}
}

// forEach calls do for all segments, spread over the workers. The first error ends it.
func (r *recovery) forEach(ctx context.Context, segments []*segmentScan, kind byte, do func(*scanner, *segmentScan) error) error {
	scanners := make([]*scanner, r.opts.Workers)
	return parallel(ctx, len(scanners), len(segments), func(worker, i int) error {
		if scanners[worker] == nil {
			scanners[worker] = newScanner(&r.opts, kind)
		}
		return do(scanners[worker], segments[i])
	})
}

var reporting sync.Mutex

func (r *recovery) report(phase string, done, total int64, samples uint64) {
	if r.opts.Progress != nil {
		reporting.Lock()
		defer reporting.Unlock()
		r.opts.Progress(Progress{phase, done, total, samples})
	}
}

// replay is the second pass: names from the checkpoint where they are needed, then the log.
func (r *recovery) replay(ctx context.Context) error {
	if err := r.replayCheckpoint(ctx); err != nil {
		return err
	}
	var extents []extent
	total := int64(0)
	for _, e := range r.plan.extents {
		if e.last > r.minFrom {
			extents = append(extents, e)
			total += e.end - e.off
		}
	}
	settlements, done := settlements{r: r}, int64(0)
	for {
		stretch := settlements.stretch(extents)
		t := &r.result
		before := t.Applied.Samples
		rp := &replay{
			handler: r.handler, extents: stretch, maxSynced: r.plan.maxSynced,
			filter: newFilter(r.opts.Identity.Stripes, r.from), load: uint64(r.opts.Window),
			progress: func(bytes int64, samples uint64) { r.report("replay", done+bytes, total, before+samples) },
		}
		if err := r.run(ctx, rp); err != nil {
			return err
		}
		r.partial = append(r.partial, rp.partial...)
		t.Commits, t.Read, t.Applied = t.Commits+rp.totals.commits, t.Read.plus(rp.totals.read), t.Applied.plus(rp.totals.applied)
		done += rp.totals.bytes
		extents = extents[len(stretch):]
		if rp.ended {
			r.endAt(rp.end)
			return nil
		}
		if len(extents) == 0 {
			return nil
		}
		if err := settlements.settle(ctx, stretch[len(stretch)-1].last, r.partial); err != nil {
			return err
		}
	}
}

func (r *recovery) run(ctx context.Context, rp *replay) error {
	if len(rp.extents) == 0 {
		return ctx.Err()
	}
	err := rp.run(ctx, r.opts.Workers, func() *extentDecoder {
		return &extentDecoder{fs: r.opts.FS, filter: rp.filter}
	})
	if err != nil {
		return err
	}
	for i := range r.result.MaxIndex {
		r.result.MaxIndex[i] = max(r.result.MaxIndex[i], rp.totals.maxIndex[i])
	}
	return nil
}

// endAt moves the end of the log to where the second pass found it.
func (r *recovery) endAt(end uint64) {
	i := 0
	for i < len(r.plan.extents) && r.plan.extents[i].first <= end {
		e := &r.plan.extents[i]
		if e.last > end {
			e.last, e.trimmed = end, true
		}
		i++
	}
	r.plan.extents, r.plan.end = r.plan.extents[:i], end
}

// position says where Start goes on.
func (r *recovery) position() {
	p := &r.result.Position
	p.Commit = max(r.plan.end, r.opts.MinCommit, r.minFrom)
	p.Segment = max(p.Segment, r.opts.MinSegment)
	if n := len(r.plan.extents); n > 0 {
		last := &r.plan.extents[n-1]
		r.result.LastCommit = last.last
		p.Totals = last.after()
	}
	for i, seg := range r.segments {
		p.Segment = max(p.Segment, seg.num+1)
		last := uint64(0)
		if n := len(p.segments); n > 0 {
			last = p.segments[n-1].last
		}
		if seg.skipped {
			last = max(last, r.beginsBehind(i)-1)
		}
		for _, e := range r.plan.inSegment(seg) {
			last = max(last, e.last)
		}
		p.segments = append(p.segments, finishedSegment{seg.num, last, seg.size})
	}
	if n := len(r.listing.checkpoints); n > 0 {
		p.Segment = max(p.Segment, r.listing.checkpoints[n-1]+1)
	}
}

// beginsBehind is the first commit of the next segment that says where it begins. One that fills a hole behind a
// skipped segment does not.
func (r *recovery) beginsBehind(i int) uint64 {
	for _, seg := range r.segments[i+1:] {
		if seg.header != nil {
			return seg.header.first
		}
	}
	return r.plan.end + 1
}

// replayCheckpoint hands out the names of series that the log no longer defines, to those stripes whose
// image does not reach to where the log begins.
func (r *recovery) replayCheckpoint(ctx context.Context) error {
	c := &r.checkpoint
	if c.dir == "" {
		return nil
	}
	for i, index := range c.state.maxIndex {
		r.result.MaxIndex[i] = max(r.result.MaxIndex[i], index)
	}
	if from, needed := r.namesNeeded(); needed {
		if err := r.replayNames(ctx, from); err != nil {
			return err
		}
	}
	r.result.CheckpointDamaged = !c.state.valid
	r.result.Position.checkpoint = c.state
	return nil
}

// namesNeeded returns a filter that lets the names of those stripes through that need them.
func (r *recovery) namesNeeded() (filter []uint64, needed bool) {
	begins := r.plan.maxSynced + 1
	if len(r.plan.extents) > 0 {
		begins = r.plan.extents[0].first
	}
	if len(r.segments) > 0 && r.segments[0].skipped {
		begins = min(begins, r.segments[0].header.first)
	}
	filter = make([]uint64, len(r.from))
	for i, from := range r.from {
		if from+1 < begins {
			needed = true
		} else {
			filter[i] = math.MaxUint64
		}
	}
	return filter, needed
}

func (r *recovery) replayNames(ctx context.Context, from []uint64) error {
	segments, c := r.checkpoint.segments, &r.checkpoint.state
	if err := r.scanAll(ctx, segments, segmentCheckpoint); err != nil {
		return err
	}
	last := uint64(0)
	for _, seg := range segments {
		last = max(last, lastOf(seg.extents))
	}
	p := makePlan(segments, 0, last) // every gap is damage
	rp := &replay{
		handler: r.handler, extents: p.extents, maxSynced: last,
		filter: newFilter(r.opts.Identity.Stripes, from), load: uint64(r.opts.Window),
	}
	if err := r.run(ctx, rp); err != nil {
		return err
	}
	if got := rp.totals.read.Series; !c.valid || got < c.series {
		c.valid = false
		r.lose(Loss{
			File:   filepath.Base(r.checkpoint.dir),
			Reason: fmt.Sprintf("%d of %d names of series in the checkpoint are readable", got, c.series),
			Series: c.series - min(c.series, got), Bound: BoundAtMost,
		})
	}
	return nil
}

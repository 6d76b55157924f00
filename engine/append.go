package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"

	"github.com/rekindledb/rekindle/arena"
)

// AppendResult counts what became of a request's samples.
type AppendResult struct {
	Stored     int // new samples, now in memory and in the log
	Duplicates int // the same timestamp and value were there already: accepted, nothing to store
	Rejected   int
	NewSeries  int
}

// append stores a batch and returns when it is as durable as the log's class promises.
//
// Whatever the answer says is stored, the log has: the wait begins after the last stripe's lock was given
// back, also for a batch that added nothing, because the sample that made this one a duplicate may be
// another request's and still on its way.
func (t *Tenant) append(ctx context.Context, b *Batch) (AppendResult, error) {
	if err := t.admit(); err != nil {
		return AppendResult{}, err
	}
	now := t.e.cfg.Now()
	bd := t.bounds(now)
	o := outcome{minT: math.MaxInt64, maxT: math.MinInt64}
	err := t.place(b, bd, &o)
	t.count(b, &o)
	raiseTo(&t.maxT, o.maxT)
	if err != nil {
		return AppendResult{}, unavailable("tenant %s: %w", t.id, err)
	}
	if t.wal != nil {
		if err := t.wal.Wait(ctx); err != nil {
			if ctx.Err() != nil {
				return AppendResult{}, err
			}
			return AppendResult{}, unavailable("tenant %s: %w", t.id, err)
		}
	}
	t.metadata.put(b.Metadata, now)
	res := AppendResult{Stored: o.stored, Duplicates: o.duplicates, NewSeries: o.newSeries, Rejected: b.Invalid}
	for _, n := range o.rejected {
		res.Rejected += n
	}
	return res, t.refusal(b, &o, now)
}

// admit refuses a request before a stripe is touched.
func (t *Tenant) admit() error {
	if t.wal != nil {
		if err := t.wal.Err(); err != nil {
			return unavailable("tenant %s: the log cannot be written: %w", t.id, err)
		}
	}
	if n := t.pending.Load() * entrySize; n > t.e.cfg.MaxPendingBytes {
		return unavailable("tenant %s: %d bytes wait for the log, the limit is %d; is the disk too slow?", t.id, n, t.e.cfg.MaxPendingBytes)
	}
	if n := t.bufferedChunks(); n > t.e.cfg.MaxPendingBytes {
		return unavailable("tenant %s: %d bytes of closed chunks wait for the disk, the limit is %d", t.id, n, t.e.cfg.MaxPendingBytes)
	}
	return nil
}

// earliest is the oldest timestamp that is stored: MinInt64 says that there is none, and half a range less than
// a timestamp is one too.
const earliest = math.MinInt64 + blockRange

// bounds are what Prometheus's head accepts: nothing older than half a block range before its newest sample,
// nothing below the floor, nothing too far ahead of the clock.
func (t *Tenant) bounds(now time.Time) bounds {
	bd := bounds{minT: max(t.floor.Load(), earliest), maxT: now.Add(t.e.cfg.CreateGrace).UnixMilli(), now: uint32(now.Unix())}
	if m := t.maxT.Load(); m != math.MinInt64 {
		bd.minT = max(bd.minT, m-blockRange/2)
	}
	return bd
}

// place puts a batch into the stripes.
func (t *Tenant) place(b *Batch, bd bounds, o *outcome) error {
	w := &b.work
	t.resolve(b)
	defer w.end()
	w.partition(b, len(t.stripes))
	// Requests that arrive together begin at different stripes.
	first := rand.IntN(len(t.stripes))
	before := o.stored + o.newSeries
	if t.wal != nil {
		defer func() { t.pending.Add(int64(o.stored + o.newSeries - before)) }()
	}
	for k := range t.stripes {
		i := (first + k) & (len(t.stripes) - 1)
		items := w.order[w.offsets[i]:w.offsets[i+1]]
		if len(items) == 0 {
			continue
		}
		if err := t.stripes[i].append(b, items, bd, o); err != nil {
			if errors.Is(err, arena.ErrFull) {
				return fmt.Errorf("stripe %d: out of memory for series: %w", i, err)
			}
			return err
		}
	}
	t.learn(b)
	return nil
}

// partition orders the series of b by stripe.
func (w *appendWork) partition(b *Batch, stripes int) {
	w.order = slices.Grow(w.order[:0], len(b.Series))[:len(b.Series)]
	clear(w.offsets[:])
	for i := range b.Series {
		w.offsets[b.Series[i].Known.stripe+1]++
	}
	for i := range stripes {
		w.offsets[i+1] += w.offsets[i]
	}
	next := w.offsets
	for i := range b.Series {
		s := b.Series[i].Known.stripe
		w.order[next[s]] = uint32(i)
		next[s]++
	}
}

// refusal is the error for what was not stored, if anything was not: the first fault, in Cortex's words.
func (t *Tenant) refusal(b *Batch, o *outcome, now time.Time) error {
	if o.first == ReasonNone {
		if b.InvalidText != "" {
			return &SampleError{Reason: ReasonLabels, Text: b.InvalidText} // in the words of a distributor, which name no user
		}
		return nil
	}
	s := b.Samples[o.firstSample]
	if o.rejected[ReasonTooFarInFuture] > 0 {
		// A clock behind what was accepted before cannot call anything too far ahead: the sender keeps its
		// samples until the clock is right again.
		if newest := t.maxT.Load(); newest != math.MinInt64 && newest > now.Add(t.e.cfg.CreateGrace).UnixMilli() {
			return unavailable("tenant %s: this host's clock says %s, behind samples that are stored already; samples cannot be judged too far in the future",
				t.id, now.UTC().Format(time.RFC3339))
		}
	}
	return &SampleError{Reason: o.first, Text: fmt.Sprintf("user=%s: %s", t.id, sampleErrorText(o.first, b.Series[o.firstSeries].Key, s, o.existing))}
}

// sampleErrorText is what Cortex says of a refused sample.
func sampleErrorText(r Reason, key []byte, s Sample, existing uint64) string {
	lbls := keyLabels(key)
	switch r {
	case ReasonTooFarInFuture:
		return fmt.Sprintf("timestamp too new: %d metric: %.200q", s.T, lbls.Get(model.MetricNameLabel))
	case ReasonNewValue:
		return fmt.Sprintf("err: duplicate sample for timestamp %d; overrides not allowed: existing %s, new value %s. series=%s",
			s.T, formatValue(existing), formatValue(s.V), lbls)
	default:
		return fmt.Sprintf("err: %s. timestamp=%s, series=%s", reasonTexts[r], time.UnixMilli(s.T).UTC().Format(time.RFC3339Nano), lbls)
	}
}

func formatValue(bits uint64) string {
	return strconv.FormatFloat(math.Float64frombits(bits), 'g', -1, 64)
}

package takein

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/record"

	"github.com/rekindledb/rekindle/engine"
)

// feeder gives the samples of a takeover to an engine, in the order of the log.
type feeder struct {
	*takeover
	engine *engine.Engine
	ctx    context.Context

	limit int // samples that are taken in together
	batch engine.Batch
	last  uint32 // series of the batch's last entry
}

// batchSamples is how many samples are taken in together: few enough to stay in the cache until the log has them.
const batchSamples = 1 << 15

// feed is the second pass.
func (t *takeover) feed(ctx context.Context, e *engine.Engine) error {
	f := &feeder{takeover: t, engine: e, ctx: ctx, limit: batchSamples}
	t.report.MinT, t.report.MaxT = math.MaxInt64, math.MinInt64
	faults, _, err := t.each(ctx, "take in", t.src.wal, f.record)
	if err != nil {
		return err
	}
	// What cannot be read by its checksum is in the report since the survey.
	t.note(slices.DeleteFunc(faults, func(f fault) bool { return !f.decoded }), nil)
	for _, i := range slices.Sorted(maps.Keys(t.late)) {
		f.merge(i, math.MaxInt64)
	}
	f.flush()
	if t.report.Samples == 0 {
		t.report.MinT, t.report.MaxT = 0, 0
	}
	t.report.OutOfOrder = t.lateN
	return f.err
}

// record takes a record of the log.
func (f *feeder) record(rec []byte) error {
	switch typ := f.dec.Type(rec); typ {
	case record.Samples, record.SamplesV2:
		var err error
		if f.samples, err = f.dec.Samples(rec, f.samples[:0]); err != nil {
			return err
		}
		for i := range f.samples {
			f.sample(&f.samples[i])
		}
		return nil
	}
	return f.histograms(rec, func(ref uint64, ts int64) {
		if i, ok := f.reg.find(ref); ok && ts >= f.src.minValid {
			f.reg.series[i].histogram = true
		}
	})
}

func (f *feeder) sample(s *record.RefSample) {
	dropped := &f.report.Dropped
	i, ok := f.reg.find(uint64(s.Ref))
	if !ok {
		count(dropped, droppedNoSeries, 1)
		return
	}
	known := &f.reg.series[i]
	v := math.Float64bits(s.V)
	switch {
	case s.T < f.src.minValid || f.gone[uint64(s.Ref)]:
		count(dropped, droppedInBlocks, 1)
	case len(known.key) == 0:
		count(dropped, droppedBadLabels, 1)
	case s.T < known.newest && f.late[i].has(s.T):
		// An out-of-order sample stands in the log too. It was merged before the one that was newer than it.
	case known.histogram && v == value.StaleNaN:
		count(&f.report.NotStored, kindHistogramStale, 1)
	default:
		known.histogram, known.newest = false, max(known.newest, s.T)
		f.start(s.ST)
		f.merge(i, s.T)
		f.add(i, sample{s.T, v})
	}
}

// merge takes the out-of-order samples of a series that are older than before. One at that very time has lost to the
// one that is there.
func (f *feeder) merge(i uint32, before int64) {
	l := f.late[i]
	if l == nil {
		return
	}
	for ; l.next < len(l.samples) && l.samples[l.next].t < before; l.next++ {
		if f.add(i, l.samples[l.next]) {
			f.lateN++
		}
	}
	if l.next < len(l.samples) && l.samples[l.next].t == before {
		count(&f.report.Dropped, droppedDuplicate, 1)
		l.next++
	}
}

// add puts a sample into the batch, unless it was deleted.
func (f *feeder) add(i uint32, s sample) bool {
	for _, iv := range f.deleted[i] {
		if iv.InBounds(s.t) {
			count(&f.report.Dropped, droppedDeleted, 1)
			return false
		}
	}
	b := &f.batch
	n := uint32(len(b.Samples))
	b.Samples = append(b.Samples, engine.Sample{T: s.t, V: s.v})
	if n > 0 && f.last == i {
		b.Series[len(b.Series)-1].Hi = n + 1
	} else {
		known := &f.reg.series[i]
		b.Series = append(b.Series, engine.BatchSeries{Key: known.key, Lo: n, Hi: n + 1})
	}
	f.last = i
	f.report.MinT, f.report.MaxT = min(f.report.MinT, s.t), max(f.report.MaxT, s.t)
	if int(n)+1 >= f.limit {
		f.flush()
	}
	return true
}

// flush gives the batch to the engine.
func (f *feeder) flush() {
	if f.err != nil || len(f.batch.Samples) == 0 {
		return
	}
	r, err := f.engine.TakeIn(f.ctx, f.report.Tenant, &f.batch)
	f.err = err
	f.report.Samples += uint64(r.Stored)
	f.report.Series += uint64(r.NewSeries)
	count(&f.report.Dropped, droppedDuplicate, uint64(r.Duplicates))
	count(&f.report.Dropped, droppedConflict, uint64(r.Conflicts))
	count(&f.report.Dropped, droppedOutOfOrder, uint64(r.OutOfOrder))
	f.batch.Reset()
}

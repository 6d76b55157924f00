package bench

import (
	"math"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/engine"
)

// Feeder hands out a workload's samples, requests' worth at a time, in the order in which targets stand.
// Sample number n of a scrape belongs to series n%SeriesPerTarget of target n/SeriesPerTarget. It keeps the
// memory that this needs, so each goroutine has its own.
type Feeder struct {
	w *Workload

	// The target at hand.
	target, generation int
	shared             []labels.Label
	block              []byte // the same in canonical form

	builder labels.ScratchBuilder
	symbols symbolTable
	refs    []uint32 // into symbols, two a label
}

// Feeder makes one for the calling goroutine.
func (w *Workload) Feeder() *Feeder {
	return &Feeder{w: w, target: -1, builder: labels.NewScratchBuilder(w.p.Labels)}
}

// seek makes the target of sample n the one at hand and returns the sample's place in it.
func (f *Feeder) seek(scrape, n int) (target, i int) {
	target, i = n/len(f.w.places), n%len(f.w.places)
	if target != f.target || (f.w.p.Churn > 0 && f.w.generation(target, scrape) != f.generation) {
		f.target, f.generation = target, f.w.generation(target, scrape)
		f.shared = targetLabels(f.w.p.Labels, target, f.generation, f.w.targets)
		f.block = f.block[:0]
		for _, l := range f.shared {
			f.block = appendLabel(f.block, l.Name, l.Value)
		}
	}
	return target, i
}

// Batch fills b with samples lo to hi (exclusive) of a scrape, one a series. It leaves the hashes to the
// caller, because to hash is part of the work that is measured.
func (f *Feeder) Batch(b *engine.Batch, scrape, lo, hi int) {
	b.Reset()
	for n := lo; n < hi; n++ {
		target, i := f.seek(scrape, n)
		// Room for this key before it is sliced; growing moves no key that was sliced already.
		if need := len(f.block) + f.w.ownMax; cap(b.Scratch)-len(b.Scratch) < need {
			b.Scratch = slices.Grow([]byte(nil), (hi-n)*need)
		}
		from := len(b.Scratch)
		b.Scratch = f.appendKey(b.Scratch, i)
		at := uint32(len(b.Samples))
		b.Series = append(b.Series, engine.BatchSeries{Key: b.Scratch[from:len(b.Scratch):len(b.Scratch)], Lo: at, Hi: at + 1})
		b.Samples = append(b.Samples, engine.Sample{
			T: f.w.Time(target, scrape),
			V: math.Float64bits(f.w.Value(target, i, scrape)),
		})
	}
}

func (f *Feeder) appendKey(dst []byte, i int) []byte {
	dst = append(dst, f.w.places[i].head...)
	dst = append(dst, f.block...)
	return append(dst, f.w.places[i].tail...)
}

// Each calls fn with samples lo to hi (exclusive) of a scrape. With keep false the labels live only during
// the call and cost no allocation; Prometheus's head copies none, so series that it is to create need true.
func (f *Feeder) Each(scrape, lo, hi int, keep bool, fn func(n int, l labels.Labels, t int64, v float64) error) error {
	for n := lo; n < hi; n++ {
		target, i := f.seek(scrape, n)
		own := &f.w.places[i]
		f.builder.Reset()
		f.builder.Add(model.MetricNameLabel, own.name)
		for _, l := range f.shared {
			f.builder.Add(l.Name, l.Value)
		}
		f.builder.Add("route", own.route)
		f.builder.Add("status", own.status)
		var l labels.Labels
		if keep {
			l = f.builder.Labels()
		} else {
			f.builder.Overwrite(&l)
		}
		if err := fn(n, l, f.w.Time(target, scrape), f.w.Value(target, i, scrape)); err != nil {
			return err
		}
	}
	return nil
}

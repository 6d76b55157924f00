package bench

import (
	"context"
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Found is what Check met.
type Found struct {
	Series, Samples int
	// Wrong counts series and samples that nobody sent, values that differ, and samples that came twice.
	Wrong int
	// FirstWrong describes the first of them.
	FirstWrong string
}

// Check reads back all samples of scrapes 0 to scrapes-1 and holds each against what was sent. It asks for a
// service at a time, so that its memory stays small.
func (w *Workload) Check(ctx context.Context, q storage.Queryable, scrapes int) (Found, error) {
	var found Found
	querier, err := q.Querier(w.p.Start, w.p.Start+int64(scrapes)*w.p.Interval.Milliseconds())
	if err != nil {
		return found, fmt.Errorf("bench: open a querier: %w", err)
	}
	defer querier.Close()
	f := w.Feeder()
	for first := 0; first < w.targets; first += targetsPerService {
		sent := f.identities(first, min(first+targetsPerService, w.targets), scrapes)
		job := labels.MustNewMatcher(labels.MatchEqual, "job", targetLabels(w.p.Labels, first, 0, w.targets)[w.jobAt].Value)
		set := querier.Select(ctx, false, nil, job)
		var it chunkenc.Iterator
		for set.Next() {
			series := set.At()
			id, ok := sent[series.Labels().Hash()]
			if !ok {
				found.wrongf("%s: nobody sent this series", series.Labels())
				continue
			}
			found.Series++
			it = series.Iterator(it)
			w.checkSeries(&found, id, series.Labels(), it)
			if err := it.Err(); err != nil {
				return found, fmt.Errorf("bench: read %s: %w", series.Labels(), err)
			}
		}
		if err := set.Err(); err != nil {
			return found, fmt.Errorf("bench: select %s: %w", job, err)
		}
	}
	return found, nil
}

// identity says whose samples a series holds.
type identity struct{ target, generation, i int }

// identities are all series that targets first to end (exclusive) have had, by the hash of their labels.
func (f *Feeder) identities(first, end, scrapes int) map[uint64]identity {
	sent := map[uint64]identity{}
	places := len(f.w.places)
	for target := first; target < end; target++ {
		last := -1
		for scrape := range scrapes {
			generation := f.w.generation(target, scrape)
			if generation == last {
				continue
			}
			last = generation
			_ = f.Each(scrape, target*places, (target+1)*places, false, func(n int, l labels.Labels, _ int64, _ float64) error {
				sent[l.Hash()] = identity{target, generation, n % places}
				return nil
			})
		}
	}
	return sent
}

func (w *Workload) checkSeries(found *Found, id identity, l labels.Labels, it chunkenc.Iterator) {
	last := int64(math.MinInt64)
	first := w.Time(id.target, 0)
	interval := w.p.Interval.Milliseconds()
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		if kind != chunkenc.ValFloat {
			found.wrongf("%s: a sample of kind %v", l, kind)
			continue
		}
		t, v := it.At()
		scrape := int((t - first) / interval)
		switch {
		case t <= last:
			found.wrongf("%s: a sample at %d comes after one at %d", l, t, last)
		case t < first || t != w.Time(id.target, scrape) || w.generation(id.target, scrape) != id.generation:
			found.wrongf("%s: nobody sent a sample at %d", l, t)
		case math.Float64bits(v) != math.Float64bits(w.Value(id.target, id.i, scrape)):
			found.wrongf("%s at %d: %v was sent, %v is stored", l, t, w.Value(id.target, id.i, scrape), v)
		default:
			found.Samples++
		}
		last = t
	}
}

func (f *Found) wrongf(format string, args ...any) {
	f.Wrong++
	if f.Wrong == 1 {
		f.FirstWrong = fmt.Sprintf(format, args...)
	}
}

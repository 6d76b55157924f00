package promstore

import (
	"context"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/rekindledb/rekindle/engine"
)

type querier struct {
	labelQuerier
}

// Select implements storage.Querier.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	sel, err := q.selectSeries(ctx, sorted, hints, ms)
	if err != nil {
		return storage.ErrSeriesSet(err)
	}
	return &seriesSet{selection: sel}
}

type chunkQuerier struct {
	labelQuerier
}

// Select implements storage.ChunkQuerier.
func (q *chunkQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.ChunkSeriesSet {
	sel, err := q.selectSeries(ctx, sorted, hints, ms)
	if err != nil {
		return storage.ErrChunkSeriesSet(err)
	}
	return &chunkSeriesSet{selection: sel}
}

// selectSeries asks the source and brings its answer into the form that the caller and the hints want.
func (q *labelQuerier) selectSeries(ctx context.Context, sorted bool, hints *storage.SelectHints, ms []*labels.Matcher) (selection, error) {
	w := q.window.narrow(hints)
	if w.empty() || len(ms) == 0 {
		return selection{ctx: ctx}, nil
	}
	list, err := q.src.SelectPart(ctx, q.part(hints), w.mint, w.maxt, ms...)
	if err != nil {
		return selection{}, err
	}
	if hints != nil && hints.ShardCount > 0 {
		list = slices.DeleteFunc(list, func(s engine.Series) bool {
			return labels.StableHash(s.Labels)%hints.ShardCount != hints.ShardIndex
		})
	}
	if sorted {
		if err := sortByLabels(ctx, list); err != nil {
			return selection{}, err
		}
	}
	if hints != nil && hints.Limit > 0 && len(list) > hints.Limit {
		// Sorted, these are the first of all; otherwise whichever the source named first. Cloned, so that the
		// rest can be freed.
		list = slices.Clone(list[:hints.Limit])
	}
	if hints != nil && hints.DisableTrimming {
		w = window{math.MinInt64, math.MaxInt64}
	}
	return newSelection(ctx, list, w), nil
}

// seriesFunc is what Prometheus's API writes into hints when it wants no samples. There is no such function.
const seriesFunc = "series"

// part is what of the samples the hints ask for.
func (q *labelQuerier) part(hints *storage.SelectHints) engine.Part {
	switch {
	case hints == nil:
		return engine.AllSamples
	case hints.Func == seriesFunc:
		return engine.NoSamples
	case q.query != nil && hints.Step == 0 && hints.Range == 0 && !looksAhead(q.query):
		return engine.LastSample
	default:
		return engine.AllSamples
	}
}

// ctxCheckEvery is how many label sets are compared between two looks at the context: some microseconds' work.
const ctxCheckEvery = 64

// sortByLabels sorts list unless ctx is done, in which case it returns ctx's error soon and leaves list in any
// order. Sorting a million series of three labels takes 2 s (EPYC, one core, machine busy); cancelled, it is back after 9 ms.
func sortByLabels(ctx context.Context, list []engine.Series) error {
	var err error
	n := 0
	slices.SortFunc(list, func(a, b engine.Series) int {
		if n++; n%ctxCheckEvery == 0 && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			// There is no way out of SortFunc. With all elements alike from here on, it ends in one more pass
			// or few, at a nanosecond or two a step.
			return 0
		}
		return labels.Compare(a.Labels, b.Labels)
	})
	return err
}

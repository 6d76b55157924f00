package promstore

import (
	"context"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

var (
	_ storage.SampleAndChunkQueryable = (*Queryable)(nil)
	_ storage.ExemplarQueryable       = (*Queryable)(nil)
)

// Queryable answers Prometheus's query interfaces from a Source. It holds no state and may be used by any number of
// queries at once.
//
// A Source that looks the tenant up in the context it is given makes a Queryable for all tenants: every context of
// a query reaches the Source unchanged.
type Queryable struct {
	src Source
	// query is the one that hints come from, if they come from PromQL's engine. See Engine.
	query promql.Query
}

// New returns a Queryable over src.
func New(src Source) *Queryable {
	return &Queryable{src: src}
}

// Querier implements storage.Queryable.
func (q *Queryable) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{labelQuerier{src: q.src, query: q.query, window: window{mint, maxt}}}, nil
}

// ChunkQuerier implements storage.ChunkQueryable.
func (q *Queryable) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return &chunkQuerier{labelQuerier{src: q.src, query: q.query, window: window{mint, maxt}}}, nil
}

// ExemplarQuerier implements storage.ExemplarQueryable. Exemplars are not stored: the answer is empty, not an error.
func (*Queryable) ExemplarQuerier(context.Context) (storage.ExemplarQuerier, error) {
	return noExemplars{}, nil
}

type noExemplars struct{}

// Select returns an empty list that is not nil, so that the HTTP API prints [] and not null.
func (noExemplars) Select(int64, int64, ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	return []exemplar.QueryResult{}, nil
}

// window is a range of time in milliseconds, both ends inclusive. It is empty if mint > maxt.
type window struct {
	mint, maxt int64
}

func (w window) empty() bool { return w.mint > w.maxt }

// narrow returns the part of w that hints ask for.
func (w window) narrow(hints *storage.SelectHints) window {
	if hints == nil {
		return w
	}
	return window{max(w.mint, hints.Start), min(w.maxt, hints.End)}
}

// labelQuerier is what the querier for samples and the one for chunks have in common.
type labelQuerier struct {
	src    Source
	query  promql.Query
	window window
}

// LabelValues implements storage.LabelQuerier.
func (q *labelQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	if q.window.empty() {
		return nil, nil, nil
	}
	values, err := q.src.LabelValues(ctx, name, q.window.mint, q.window.maxt, limitOf(hints), ms...)
	return values, nil, err
}

// LabelNames implements storage.LabelQuerier.
func (q *labelQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	if q.window.empty() {
		return nil, nil, nil
	}
	names, err := q.src.LabelNames(ctx, q.window.mint, q.window.maxt, limitOf(hints), ms...)
	return names, nil, err
}

// Close implements storage.LabelQuerier. A querier holds nothing.
func (*labelQuerier) Close() error { return nil }

func limitOf(hints *storage.LabelHints) int {
	if hints == nil {
		return 0
	}
	return max(hints.Limit, 0)
}

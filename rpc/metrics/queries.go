package metrics

import (
	"context"
	"encoding/binary"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/engine/promstore"
)

// Queries counts what queries select, by whatever protocol they come.
type Queries struct {
	queries                 prometheus.Counter
	series, chunks, samples prometheus.Histogram
}

// NewQueries registers the numbers on reg.
func NewQueries(reg prometheus.Registerer) *Queries {
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return promauto.With(reg).NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	return &Queries{
		queries: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "cortex_ingester_queries_total",
			Help: "Selections of series by queries.",
		}),
		series:  histogram("cortex_ingester_queried_series", "Series returned by a selection.", prometheus.ExponentialBuckets(10, 8, 6)),
		chunks:  histogram("cortex_ingester_queried_chunks", "Chunks returned by a selection.", prometheus.ExponentialBuckets(10, 8, 7)),
		samples: histogram("cortex_ingester_queried_samples", "Samples in the chunks returned by a selection.", prometheus.ExponentialBuckets(10, 8, 8)),
	}
}

// Source is the series of a tenant, for PromQL and for streams of chunks.
type Source interface {
	promstore.Source
	Stream(ctx context.Context, part engine.Part, mint, maxt int64, yield func([]engine.KeyedSeries) error, ms ...*labels.Matcher) error
}

// Count returns a source whose selections are counted; nil if there is none.
func (q *Queries) Count(s Source) Source {
	if s == nil {
		return nil
	}
	return counted{s, q}
}

type counted struct {
	Source
	q *Queries
}

func (c counted) Select(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error) {
	return c.SelectPart(ctx, engine.AllSamples, mint, maxt, ms...)
}

func (c counted) SelectPart(ctx context.Context, part engine.Part, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error) {
	list, err := c.Source.SelectPart(ctx, part, mint, maxt, ms...)
	if err != nil {
		return nil, err
	}
	var n selected
	for i := range list {
		n.add(list[i].Chunks)
	}
	c.q.observe(&n)
	return list, nil
}

func (c counted) Stream(ctx context.Context, part engine.Part, mint, maxt int64, yield func([]engine.KeyedSeries) error, ms ...*labels.Matcher) error {
	var n selected
	err := c.Source.Stream(ctx, part, mint, maxt, func(list []engine.KeyedSeries) error {
		for i := range list {
			n.add(list[i].Chunks)
		}
		return yield(list)
	}, ms...)
	if err == nil {
		c.q.observe(&n)
	}
	return err
}

// selected is what one selection returned. Several goroutines count.
type selected struct {
	series, chunks, samples atomic.Int64
}

func (n *selected) add(chunks []engine.Chunk) {
	samples := 0
	for _, c := range chunks {
		if len(c.Data) >= 2 {
			samples += int(binary.BigEndian.Uint16(c.Data)) // every encoding begins with the number of samples
		}
	}
	n.series.Add(1)
	n.chunks.Add(int64(len(chunks)))
	n.samples.Add(int64(samples))
}

func (q *Queries) observe(n *selected) {
	q.queries.Inc()
	q.series.Observe(float64(n.series.Load()))
	q.chunks.Observe(float64(n.chunks.Load()))
	q.samples.Observe(float64(n.samples.Load()))
}

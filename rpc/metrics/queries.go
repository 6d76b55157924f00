package metrics

import (
	"context"
	"encoding/binary"

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

// Count returns a source whose selections are counted; nil if there is none.
func (q *Queries) Count(s promstore.Source) promstore.Source {
	if s == nil {
		return nil
	}
	return counted{s, q}
}

type counted struct {
	promstore.Source
	q *Queries
}

func (c counted) Select(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error) {
	list, err := c.Source.Select(ctx, mint, maxt, ms...)
	if err != nil {
		return nil, err
	}
	chunks, samples := 0, 0
	for i := range list {
		chunks += len(list[i].Chunks)
		for _, c := range list[i].Chunks {
			if len(c.Data) >= 2 {
				samples += int(binary.BigEndian.Uint16(c.Data)) // every encoding begins with the number of samples
			}
		}
	}
	c.q.queries.Inc()
	c.q.series.Observe(float64(len(list)))
	c.q.chunks.Observe(float64(chunks))
	c.q.samples.Observe(float64(samples))
	return list, nil
}

package httpsrv

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/grafana/dskit/user"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/engine/promstore"
)

// tenantSource is a promstore.Source for all tenants: each call goes to the one that its context names.
// A tenant that does not exist has no series; that is no error, since a querier asks ingesters for tenants
// that write elsewhere.
type tenantSource struct {
	of func(tenant string) promstore.Source

	queries prometheus.Counter
	series  prometheus.Histogram
	chunks  prometheus.Histogram
	samples prometheus.Histogram
}

var _ promstore.Source = (*tenantSource)(nil)

func newTenantSource(of func(string) promstore.Source, reg prometheus.Registerer) *tenantSource {
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return promauto.With(reg).NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	return &tenantSource{
		of: of,
		queries: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "cortex_ingester_queries_total",
			Help: "Selections of series by queries.",
		}),
		series:  histogram("cortex_ingester_queried_series", "Series returned by a selection.", prometheus.ExponentialBuckets(10, 8, 6)),
		chunks:  histogram("cortex_ingester_queried_chunks", "Chunks returned by a selection.", prometheus.ExponentialBuckets(10, 8, 7)),
		samples: histogram("cortex_ingester_queried_samples", "Samples in the chunks returned by a selection.", prometheus.ExponentialBuckets(10, 8, 8)),
	}
}

// tenant returns the source of ctx's tenant, nil if it has no data.
func (s *tenantSource) tenant(ctx context.Context) (promstore.Source, error) {
	id, err := user.ExtractOrgID(ctx)
	if err != nil {
		return nil, fmt.Errorf("httpsrv: query without tenant: %w", err)
	}
	return s.of(id), nil
}

func (s *tenantSource) Select(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error) {
	t, err := s.tenant(ctx)
	if t == nil || err != nil {
		return nil, err
	}
	list, err := t.Select(ctx, mint, maxt, ms...)
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
	s.queries.Inc()
	s.series.Observe(float64(len(list)))
	s.chunks.Observe(float64(chunks))
	s.samples.Observe(float64(samples))
	return list, nil
}

func (s *tenantSource) LabelNames(ctx context.Context, mint, maxt int64, limit int, ms ...*labels.Matcher) ([]string, error) {
	t, err := s.tenant(ctx)
	if t == nil || err != nil {
		return nil, err
	}
	return t.LabelNames(ctx, mint, maxt, limit, ms...)
}

func (s *tenantSource) LabelValues(ctx context.Context, name string, mint, maxt int64, limit int, ms ...*labels.Matcher) ([]string, error) {
	t, err := s.tenant(ctx)
	if t == nil || err != nil {
		return nil, err
	}
	return t.LabelValues(ctx, name, mint, maxt, limit, ms...)
}

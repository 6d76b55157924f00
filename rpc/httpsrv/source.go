package httpsrv

import (
	"context"
	"fmt"

	"github.com/grafana/dskit/user"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/engine/promstore"
)

// tenantSource is a promstore.Source for all tenants: each call goes to the one that its context names.
// A tenant that does not exist has no series; that is no error, since a querier asks ingesters for tenants
// that write elsewhere.
type tenantSource struct {
	of func(tenant string) promstore.Source
}

var _ promstore.Source = (*tenantSource)(nil)

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
	return t.Select(ctx, mint, maxt, ms...)
}

func (s *tenantSource) SelectPart(ctx context.Context, part engine.Part, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error) {
	t, err := s.tenant(ctx)
	if t == nil || err != nil {
		return nil, err
	}
	return t.SelectPart(ctx, part, mint, maxt, ms...)
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

package grpcsrv

import (
	"context"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/pb"
)

func (s *Server) metricsMetadata(ctx context.Context, message []byte) (m reply, err error) {
	var req pb.MetadataRequest
	if err := req.Unmarshal(message); err != nil {
		return nil, malformed(err)
	}
	err = s.query(ctx, func(_ context.Context, tenant string) error {
		s.opts.Store.Metadata(tenant, req.Metric, func(family string, all []engine.Description) bool {
			for _, d := range all {
				m = pb.AppendMetadata(m, family, d)
			}
			return true
		})
		return nil
	})
	return m, err
}

// userStats is the method UserStats. Mimir may ask for the series that are active.
func (s *Server) userStats(ctx context.Context, message []byte) (m reply, err error) {
	var req pb.CardinalityRequest
	if err := req.UnmarshalStats(message); err != nil {
		return nil, malformed(err)
	}
	err = s.query(ctx, func(ctx context.Context, tenant string) error {
		u := s.statsOf(tenant)
		if req.Active {
			u.Series = 0
			if err := s.eachCounted(ctx, tenant, &req, func([]byte) error {
				u.Series++
				return nil
			}); err != nil {
				return err
			}
		}
		m = u.Append(nil)
		return nil
	})
	return m, err
}

// allUserStats is the method AllUserStats. Whatever tenant its caller names, it is about all.
func (s *Server) allUserStats(ctx context.Context, _ []byte) (m reply, err error) {
	_, leave, no := s.opts.Gate.EnterQuery(ctx)
	if no != nil {
		return nil, statusOf(ctx, no)
	}
	defer leave()
	for _, tenant := range s.opts.Store.Tenants() {
		m = pb.AppendUserIDStats(m, tenant, s.statsOf(tenant))
	}
	return m, nil
}

func (s *Server) statsOf(tenant string) (u pb.UserStats) {
	var st engine.Stats
	if s.opts.Store.Stats(tenant, &st) {
		u.Series, u.Active = st.Series, s.opts.Store.Active(tenant)
		u.APIRate, u.RuleRate = s.opts.Rates.Of(tenant)
	}
	return u
}

package grpcsrv

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/rpc/pb"
)

func (s *Server) metricsForLabelMatchers(ctx context.Context, message []byte) (m reply, err error) {
	err = s.eachMetric(ctx, message, func(l labels.Labels) error {
		m = pb.AppendMetric(m, l)
		return nil
	})
	return m, err
}

func (s *Server) metricsForLabelMatchersStream(ctx context.Context, message []byte, send func(reply) error) error {
	out := newBatch(send)
	if err := s.eachMetric(ctx, message, func(l labels.Labels) error {
		if err := out.room(pb.SizeMetric(l)); err != nil {
			return err
		}
		out.message = pb.AppendMetric(out.message, l)
		return nil
	}); err != nil {
		return err
	}
	return out.flush()
}

// eachMetric calls add for the labels of every series that satisfies one of the request's lists of matchers and has samples
// in its range, each once.
func (s *Server) eachMetric(ctx context.Context, message []byte, add func(labels.Labels) error) error {
	var req pb.MatcherSets
	if err := req.Unmarshal(message); err != nil {
		return malformed(err)
	}
	return s.query(ctx, func(ctx context.Context, tenant string) error {
		source := s.opts.Source(tenant)
		if source == nil {
			return nil
		}
		mint, maxt := s.labelRange(tenant, req.Start, req.End)
		limit, sent := limitOf(req.Limit), 0
		seen := map[string]struct{}{} // by labels; only if there are several lists
		for _, set := range req.Sets {
			matchers, shard, err := cutShard(set)
			if err != nil {
				return malformed(err)
			}
			list, err := source.Select(ctx, mint, maxt, matchers...)
			if err != nil {
				return err
			}
			for i := range list {
				l := list[i].Labels
				if !shard.of(l) {
					continue
				}
				if len(req.Sets) > 1 {
					key := string(l.Bytes(nil))
					if _, ok := seen[key]; ok {
						continue
					}
					seen[key] = struct{}{}
				}
				if err := add(l); err != nil {
					return err
				}
				if sent++; sent == limit {
					return nil
				}
			}
		}
		return nil
	})
}

// queryExemplars is the method QueryExemplars. Exemplars are not stored, so there are none.
func (s *Server) queryExemplars(ctx context.Context, message []byte) (reply, error) {
	var req pb.MatcherSets
	if err := req.Unmarshal(message); err != nil {
		return nil, malformed(err)
	}
	return nil, s.query(ctx, func(context.Context, string) error { return nil })
}

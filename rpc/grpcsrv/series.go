package grpcsrv

import (
	"context"
	"errors"
	"sync"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/pb"
)

func (s *Server) metricsForLabelMatchers(ctx context.Context, message []byte) (m reply, err error) {
	err = s.eachMetric(ctx, message, func(key []byte) error {
		m = pb.AppendMetric(m, key)
		return nil
	})
	return m, err
}

func (s *Server) metricsForLabelMatchersStream(ctx context.Context, message []byte, send func(reply) error) error {
	return sending(ctx, send, func(ctx context.Context, send func(reply) error) error {
		out := newBatch(send)
		err := s.eachMetric(ctx, message, func(key []byte) error {
			if err := out.room(pb.SizeMetric(key)); err != nil {
				return err
			}
			out.message = pb.AppendMetric(out.message, key)
			return nil
		})
		if err != nil {
			return err
		}
		return out.flush()
	})
}

// errEnough ends a stream of series at the limit.
var errEnough = errors.New("limit reached")

// eachMetric calls add for the key of every series that satisfies one of the request's lists of matchers and has samples in
// its range, each once, one after the other.
func (s *Server) eachMetric(ctx context.Context, message []byte, add func(key []byte) error) error {
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
		var mu sync.Mutex
		limit, found := limitOf(req.Limit), 0
		seen := map[string]struct{}{} // only if there are several lists
		for _, set := range req.Sets {
			matchers, shard, err := cutShard(set)
			if err != nil {
				return malformed(err)
			}
			err = source.Stream(ctx, engine.NoSamples, mint, maxt, func(list []engine.KeyedSeries) error {
				mu.Lock()
				defer mu.Unlock()
				for i := range list {
					key := list[i].Key
					if limit > 0 && found == limit {
						return errEnough
					}
					if !shard.of(key) {
						continue
					}
					if len(req.Sets) > 1 {
						if _, ok := seen[string(key)]; ok {
							continue
						}
						seen[string(key)] = struct{}{}
					}
					if err := add(key); err != nil {
						return err
					}
					found++
				}
				return nil
			}, matchers...)
			if errors.Is(err, errEnough) {
				return nil
			} else if err != nil {
				return err
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

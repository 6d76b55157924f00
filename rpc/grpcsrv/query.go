package grpcsrv

import (
	"context"

	"google.golang.org/grpc/codes"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/pb"
)

// queryStream is the method QueryStream: the chunks of the matching series as they are stored. Series come in no order, and
// samples outside of the range may be among them: queriers sort and seek. Mimir's queriers say how many they want in a message,
// and get them in a form of their own.
func (s *Server) queryStream(ctx context.Context, message []byte, send func(reply) error) error {
	var req pb.QueryRequest
	if err := req.Unmarshal(message); err != nil {
		return malformed(err)
	}
	return s.query(ctx, func(ctx context.Context, tenant string) error {
		matchers, shard, err := cutShard(req.Matchers)
		if err != nil {
			return malformed(err)
		}
		source := s.opts.Source(tenant)
		if source == nil && req.BatchSize > 0 {
			return send(pb.AppendEndOfSeries(nil))
		} else if source == nil {
			return nil
		}
		if req.BatchSize > 0 {
			return streamInParts(ctx, source, &req, matchers, shard, send)
		}
		return sending(ctx, send, func(ctx context.Context, send func(reply) error) error {
			return source.Stream(ctx, engine.AllSamples, req.Start, req.End, func(list []engine.KeyedSeries) error {
				out := newBatch(send)
				for i := range list {
					series := &list[i]
					if !shard.of(series.Key) {
						continue
					}
					err := out.room(pb.SizeChunkSeries(series))
					if err != nil {
						return err
					}
					if out.message, err = pb.AppendChunkSeries(out.message, series); err != nil {
						return err
					}
				}
				return out.flush()
			}, matchers...)
		})
	})
}

// query runs a question of a tenant inside the gate, and makes a status of its error. A tenant that is not known has
// nothing; that is no error, since queriers ask all ingesters.
func (s *Server) query(ctx context.Context, run func(ctx context.Context, tenant string) error) error {
	tenant, err := s.tenantOf(ctx)
	if err != nil {
		return err
	}
	inside, leave, no := s.opts.Gate.EnterQuery(ctx)
	if no != nil {
		return statusOf(ctx, no)
	}
	defer leave()
	err = run(inside, tenant)
	if err != nil && inside.Err() != nil && ctx.Err() == nil {
		return &refused{codes.Unavailable, "not ready: stopping"}
	}
	return readStatus(ctx, err)
}

package grpcsrv

import (
	"context"

	"github.com/rekindledb/rekindle/rpc/pb"
)

// batchBytes is the size of a message of a stream: a series that would take a message beyond it begins the next one. Chunks
// of one series are never divided.
const batchBytes = 256 << 10

// queryStream is the method QueryStream: the chunks of the matching series as they are stored. Series come in no order, and
// samples outside of the range may be among them: queriers sort and seek.
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
		if source == nil {
			return nil
		}
		list, err := source.Select(ctx, req.Start, req.End, matchers...)
		if err != nil {
			return err
		}
		out := newBatch(send)
		for i := range list {
			series := &list[i]
			if len(series.Chunks) == 0 || !shard.of(series.Labels) {
				continue
			}
			if err := out.room(pb.SizeChunkSeries(series)); err != nil {
				return err
			}
			if out.message, err = pb.AppendChunkSeries(out.message, series); err != nil {
				return err
			}
		}
		return out.flush()
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
	return readStatus(ctx, run(inside, tenant))
}

// batch collects a message of a stream.
type batch struct {
	message []byte
	send    func(reply) error
}

func newBatch(send func(reply) error) *batch { return &batch{send: send} }

// room sends what there is if size more bytes would be too many.
func (b *batch) room(size int) error {
	if len(b.message) > 0 && len(b.message)+size > batchBytes {
		if err := b.flush(); err != nil {
			return err
		}
	}
	if b.message == nil {
		b.message = (*buffers.Get(max(size, batchBytes)))[:0]
	}
	return nil
}

// flush sends what there is. Its memory is the receiver's then.
func (b *batch) flush() error {
	if len(b.message) == 0 {
		return nil
	}
	message := b.message
	b.message = nil
	return b.send(message)
}

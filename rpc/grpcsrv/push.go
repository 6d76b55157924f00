package grpcsrv

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/guard"
	"github.com/rekindledb/rekindle/rpc/wire"
)

// request is the memory that one push needs, kept for the next.
type request struct {
	message []byte
	decoder *wire.Decoder
	batch   engine.Batch
	failed  error // of decoder
}

// Fill implements engine.Source.
func (r *request) Fill(b *engine.Batch) error {
	r.failed = r.decoder.DecodeMessage(wire.V1, r.message, b)
	return r.failed
}

// requestKeepMax is the size of a message above which the memory that it needed is not kept.
const requestKeepMax = 4 << 20

// push is the method Push. Its answer is an empty message.
func (s *Server) push(ctx context.Context, message []byte) (reply, error) {
	tenant, err := s.tenantOf(ctx)
	if err != nil {
		return nil, err
	}
	return nil, s.write(ctx, tenant, message)
}

// write stores what a WriteRequest holds.
func (s *Server) write(ctx context.Context, tenant string, message []byte) error {
	ticket, no := s.opts.Admission.Enter()
	if no != nil {
		return statusOf(ctx, no)
	}
	defer ticket.Leave()
	if no := ticket.Take(int64(len(message))); no != nil {
		return statusOf(ctx, no)
	}
	if no := s.opts.Gate.EnterPush(ctx); no != nil {
		return statusOf(ctx, no)
	}
	defer s.opts.Gate.Leave()

	req := s.requests.Get().(*request)
	if len(message) <= requestKeepMax {
		defer s.requests.Put(req)
	}
	req.message, req.failed = message, nil
	stored, err := s.opts.Store.Append(ctx, tenant, &req.batch)
	if req.failed != nil {
		return s.undecoded(tenant, req.failed)
	}
	s.opts.Rates.Add(tenant, req.decoder.Rule(), stored)
	return statusOf(ctx, guard.RefusalOf(ctx, err))
}

// undecoded is the status of a request that was not decoded.
func (s *Server) undecoded(tenant string, err error) error {
	if unsorted := new(wire.OrderError); errors.As(err, &unsorted) {
		s.unsorted.WithLabelValues(tenant).Inc()
		return status.Error(codes.Unknown, "user="+tenant+": "+err.Error())
	}
	return malformed(err)
}

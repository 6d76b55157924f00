package grpcsrv

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/grafana/dskit/user"
	"github.com/grafana/regexp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rekindledb/rekindle/rpc/pb"
)

// streamWorker is the tenant that a distributor opens its streams with; the requests in them name theirs.
var streamWorker = regexp.MustCompile(`^ingester-.+-stream-push-worker-\d+$`)

// pushStream is the method PushStream: pushes one after the other, an answer to each. It ends when the gate closes, because
// a distributor never ends it and a stop would wait for it.
//
// However a stream ends, Cortex 1.21.1's client takes the next request that it cannot send on it for stored (its processJob
// makes a success of io.EOF). Nothing here can help that; the replicas do.
func pushStream(srv any, stream grpc.ServerStream) error {
	s, ctx := srv.(*Server), stream.Context()
	// A worker's id holds an address and need not be one that a tenant can have.
	id, err := orgID(ctx)
	if err != nil {
		return err
	}
	if id == "" && s.opts.Tenancy.Required {
		return status.Error(codes.Unknown, user.ErrNoOrgID.Error())
	}
	allowed := func(tenant string) bool { return id == "" || tenant == id || streamWorker.MatchString(id) }
	requests, failed := receive(ctx, stream)
	for {
		select {
		case m := <-requests:
			answer, err := s.streamed(ctx, m, allowed)
			if err != nil {
				return err
			}
			if err := stream.SendMsg(answer); err != nil {
				return err
			}
		case err := <-failed:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-s.opts.Gate.Closing():
			return status.Error(codes.Unavailable, "not ready: stopping")
		}
	}
}

// receive hands on what stream receives, until it fails or its call ends.
func receive(ctx context.Context, stream grpc.ServerStream) (requests <-chan *message, failed <-chan error) {
	to, end := make(chan *message), make(chan error, 1)
	go func() {
		for {
			m := new(message)
			if err := stream.RecvMsg(m); err != nil {
				end <- err
				return
			}
			select {
			case to <- m:
			case <-ctx.Done(): // the method has returned
				m.free()
				return
			}
		}
	}()
	return to, end
}

// streamed makes one push and its answer. Only a tenant that the caller may not write for ends the stream.
func (s *Server) streamed(ctx context.Context, m *message, allowed func(tenant string) bool) (reply, error) {
	defer m.free()
	var req pb.StreamWriteRequest
	if err := req.Unmarshal(m.bytes()); err != nil {
		return pb.AppendWriteResponse(nil, http.StatusBadRequest, err.Error()), nil
	}
	if !allowed(req.Tenant) {
		return nil, status.Errorf(codes.PermissionDenied, "tenant ID mismatch: the stream may not write for %q", req.Tenant)
	}
	tenant, no := s.opts.Tenancy.Of(req.Tenant)
	if no != nil {
		return pb.AppendWriteResponse(nil, http.StatusInternalServerError, no.Text), nil
	}
	st := status.Convert(s.write(ctx, tenant, req.Request))
	code := http.StatusInternalServerError
	switch {
	case st.Code() == codes.OK:
		code = http.StatusOK
	case st.Code() >= http.StatusBadRequest:
		code = int(st.Code())
	}
	return pb.AppendWriteResponse(nil, code, st.Message()), nil
}

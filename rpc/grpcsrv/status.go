package grpcsrv

import (
	"context"
	"net/http"
	"strings"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/rekindledb/rekindle/rpc/guard"
)

// refused is the status of a request that was refused for a reason that we know.
type refused struct {
	// code is a gRPC code; or an HTTP status from 400 to 499, which a distributor hands on to the sender, who will not
	// send the same again.
	code codes.Code
	text string
}

// Error implements error.
func (e *refused) Error() string { return e.text }

// GRPCStatus is what grpc-go asks for.
func (e *refused) GRPCStatus() *status.Status {
	text := strings.ToValidUTF8(e.text, "\uFFFD") // a message that is none would fail the answer
	if e.code < http.StatusBadRequest {
		return status.New(e.code, text)
	}
	// httpgrpc.HTTPResponse: Code=1 int32, body=3 bytes.
	var m []byte
	m = protowire.AppendTag(m, 1, protowire.VarintType)
	m = protowire.AppendVarint(m, uint64(e.code))
	m = protowire.AppendTag(m, 3, protowire.BytesType)
	m = protowire.AppendString(m, text)
	return status.FromProto(&spb.Status{
		Code:    int32(e.code),
		Message: text,
		Details: []*anypb.Any{{TypeUrl: "type.googleapis.com/httpgrpc.HTTPResponse", Value: m}},
	})
}

// ShouldLog tells dskit's server not to log it. What a tenant sends is no event of ours, and thousands of pushes a second
// may be refused while the engine recovers. They are counted.
func (*refused) ShouldLog(context.Context) (bool, string) { return false, "" }

// malformed is the status of a request that cannot be read.
func malformed(err error) error { return &refused{http.StatusBadRequest, err.Error()} }

// statusOf writes a refusal as a status.
func statusOf(ctx context.Context, no *guard.Refusal) error {
	switch {
	case no == nil:
		return nil
	case no.Code == guard.StatusClientClosedRequest && ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case no.Code == http.StatusBadRequest:
		return &refused{http.StatusBadRequest, no.Text}
	case no.Code == http.StatusServiceUnavailable:
		return &refused{codes.Unavailable, no.Text}
	default:
		return status.Error(codes.Unknown, no.Text)
	}
}

// readStatus is the status of an error of a read, which may be a status already.
func readStatus(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return statusOf(ctx, guard.RefusalOf(ctx, err))
}

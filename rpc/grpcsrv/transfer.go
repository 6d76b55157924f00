package grpcsrv

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Transfer takes in what a leaving ingester has. recv returns its messages, each valid until the next call, and io.EOF in
// the end.
type Transfer func(ctx context.Context, recv func() ([]byte, error)) error

// transferChunks answers when the leaver may go. To any error it tries again.
func transferChunks(srv any, stream grpc.ServerStream) error {
	var m message
	held := false
	free := func() {
		if held {
			m.free()
			held = false
		}
	}
	defer free()
	err := srv.(*Server).opts.Transfer(stream.Context(), func() ([]byte, error) {
		free()
		if err := stream.RecvMsg(&m); err != nil {
			return nil, err
		}
		held = true
		return m.bytes(), nil
	})
	if err != nil {
		return status.Error(codes.Aborted, err.Error())
	}
	return stream.SendMsg(reply(nil))
}

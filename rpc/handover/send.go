package handover

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/pb"
)

// Method is what a transfer calls.
const Method = "/cortex.Ingester/TransferChunks"

// Stream calls yield with all series of a tenant that have samples, from several goroutines.
type Stream func(ctx context.Context, mint, maxt int64, yield func([]engine.KeyedSeries) error) error

// Send transfers all series of the tenants to the ingester behind conn and returns how many chunks that were. It returns nil
// when the other side says that it has them all, and the tokens of from.
func Send(ctx context.Context, conn grpc.ClientConnInterface, from string, tenants []string, of func(tenant string) Stream) (chunks int, err error) {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, "x-scope-orgid", "-1"))
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{StreamName: "TransferChunks", ClientStreams: true}, Method, grpc.ForceCodec(rawCodec{}))
	if err != nil {
		return 0, fmt.Errorf("handover: begin: %w", err)
	}
	var mu sync.Mutex // of the stream
	for _, tenant := range tenants {
		series := of(tenant)
		if series == nil {
			continue
		}
		head := pb.AppendString(pb.AppendString(nil, fieldFrom, from), fieldUser, tenant)
		err := series(ctx, math.MinInt64, math.MaxInt64, func(list []engine.KeyedSeries) error {
			mu.Lock()
			defer mu.Unlock()
			for i := range list {
				message, err := appendSeries(head[:len(head):len(head)], &list[i])
				if err != nil {
					return err
				}
				if err := stream.SendMsg(message); err != nil {
					return errors.Join(err, stream.RecvMsg(new([]byte))) // the status says why
				}
				chunks += len(list[i].Chunks)
			}
			return nil
		})
		if err != nil {
			return chunks, fmt.Errorf("handover: send the series of tenant %q: %w", tenant, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return chunks, fmt.Errorf("handover: end: %w", err)
	}
	var answer []byte
	if err := stream.RecvMsg(&answer); err != nil {
		return chunks, fmt.Errorf("handover: the receiver does not confirm: %w", err)
	}
	return chunks, nil
}

// appendSeries appends labels and chunks. A querier gets them in the same form, as a field of a larger message.
func appendSeries(dst []byte, s *engine.KeyedSeries) ([]byte, error) {
	field, err := pb.AppendChunkSeries(nil, s)
	if err != nil {
		return nil, err
	}
	_, _, tag := protowire.ConsumeTag(field)
	body, n := protowire.ConsumeBytes(field[tag:])
	if n < 0 {
		return nil, protowire.ParseError(n)
	}
	return append(dst, body...), nil
}

// rawCodec sends and receives messages as the bytes that they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("handover: send a %T", v)
	}
	return b, nil
}

func (rawCodec) Unmarshal(b []byte, v any) error {
	to, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("handover: receive a %T", v)
	}
	*to = append((*to)[:0], b...)
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
)

// streamRounds is how often all chunks are read; the fastest time counts, and the CPU of an average one.
const streamRounds = 3

// streamed is what it takes a server to send the chunks of all series over cortex.Ingester/QueryStream.
type streamed struct {
	Series, Bytes int
	Wall, CPU     float64 // seconds
}

// measureStream asks a server that takes pushes over gRPC for everything.
func (s *server) measureStream(ctx context.Context) (best streamed, err error) {
	g, err := dialIngester(s)
	if err != nil {
		return best, err
	}
	cpu := cpuTimeOf(s.pid)
	for range streamRounds {
		begin := time.Now()
		got, err := g.queryStream(ctx)
		if err != nil {
			return best, errors.Join(fmt.Errorf("%s answers a QueryStream with %w", s.name, err), g.close())
		}
		if got.Wall = time.Since(begin).Seconds(); best.Wall == 0 || got.Wall < best.Wall {
			best = got
		}
	}
	best.CPU = (cpuTimeOf(s.pid) - cpu) / streamRounds
	return best, g.close()
}

// queryStream reads and counts. What the client spends on it is little: it looks at the outermost fields.
func (g *grpcSender) queryStream(ctx context.Context) (got streamed, err error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "x-scope-orgid", g.s.tenant)
	stream, err := g.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/cortex.Ingester/QueryStream", grpc.MaxCallRecvMsgSize(100<<20))
	if err != nil {
		return got, err
	}
	if err := errors.Join(stream.SendMsg(everything()), stream.CloseSend()); err != nil {
		return got, err
	}
	for {
		var m []byte
		if err := stream.RecvMsg(&m); errors.Is(err, io.EOF) {
			return got, nil
		} else if err != nil {
			return got, err
		}
		got.Bytes += len(m)
		for len(m) > 0 {
			_, _, n := protowire.ConsumeField(m)
			if n < 0 {
				return got, protowire.ParseError(n)
			}
			m = m[n:]
			got.Series++
		}
	}
}

// everything is a QueryRequest for {__name__=~".+"} of all times: end=2, matchers=3 {type=1, name=2, value=3}.
func everything() []byte {
	var matcher []byte
	matcher = protowire.AppendTag(matcher, 1, protowire.VarintType)
	matcher = protowire.AppendVarint(matcher, 2) // =~
	matcher = protowire.AppendTag(matcher, 2, protowire.BytesType)
	matcher = protowire.AppendString(matcher, "__name__")
	matcher = protowire.AppendTag(matcher, 3, protowire.BytesType)
	matcher = protowire.AppendString(matcher, ".+")
	var m []byte
	m = protowire.AppendTag(m, 2, protowire.VarintType)
	m = protowire.AppendVarint(m, uint64(time.Now().Add(time.Hour).UnixMilli()))
	m = protowire.AppendTag(m, 3, protowire.BytesType)
	return protowire.AppendBytes(m, matcher)
}

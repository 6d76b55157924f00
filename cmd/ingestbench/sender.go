package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/klauspost/compress/s2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"github.com/rekindledb/rekindle/rpc/grpcsrv"
)

// sender carries remote write 1.0 messages to a server, for several goroutines.
type sender interface {
	// encode makes of a message what push sends; it may use dst's memory, or return message.
	encode(dst, message []byte) []byte
	push(ctx context.Context, body []byte) error
	close() error
}

// sender is how s takes pushes: over gRPC if it has an address there, as a distributor sends them; else over HTTP, as a
// Prometheus does.
func (s *server) sender(writers int) (sender, error) {
	if s.grpc != "" {
		return dialIngester(s)
	}
	return &httpSender{s, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}}}, nil
}

type httpSender struct {
	s      *server
	client *http.Client
}

func (h *httpSender) encode(dst, message []byte) []byte {
	return s2.EncodeSnappy(dst[:cap(dst)], message)
}

func (h *httpSender) push(ctx context.Context, body []byte) error {
	return h.s.push(ctx, h.client, body)
}

func (h *httpSender) close() error {
	h.client.CloseIdleConnections()
	return nil
}

// grpcSender calls cortex.Ingester/Push. All writers share a connection, as those of a distributor do, and messages are
// compressed as distributors compress them.
type grpcSender struct {
	s    *server
	conn *grpc.ClientConn
}

func dialIngester(s *server) (*grpcSender, error) {
	conn, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(bytesCodec{}), grpc.UseCompressor(grpcsrv.SnappyBlock)))
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", s.name, err)
	}
	return &grpcSender{s, conn}, nil
}

// encode makes the message Cortex's, whose requests end with an empty field 1001.
func (g *grpcSender) encode(dst, message []byte) []byte {
	return append(append(dst[:0], message...), 0xca, 0x3e, 0)
}

func (g *grpcSender) push(ctx context.Context, body []byte) error {
	ctx = metadata.AppendToOutgoingContext(ctx, "x-scope-orgid", g.s.tenant)
	var answer []byte
	if err := g.conn.Invoke(ctx, "/cortex.Ingester/Push", body, &answer); err != nil {
		return fmt.Errorf("%s answers a push with %w", g.s.name, err)
	}
	return nil
}

func (g *grpcSender) close() error { return g.conn.Close() }

// bytesCodec's messages are []byte.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

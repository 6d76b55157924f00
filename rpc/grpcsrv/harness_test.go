package grpcsrv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/guard"
)

// store is an engine in memory. fail, if set, is what it answers pushes with.
type store struct {
	e      *engine.Engine
	fail   error
	during func(context.Context)
}

func (s *store) Append(ctx context.Context, tenant string, b *engine.Batch) (int, error) {
	if s.during != nil {
		s.during(ctx)
	}
	if s.fail != nil {
		return 0, s.fail
	}
	r, err := s.e.Append(ctx, tenant, b)
	return r.Stored + r.Duplicates, err
}

func (s *store) Metadata(tenant, family string, yield func(string, []engine.Description) bool) {
	if t := s.e.Tenant(tenant); t != nil {
		t.Metadata(family, yield)
	}
}

func (s *store) Tenants() (ids []string) {
	for _, t := range s.e.Tenants() {
		ids = append(ids, t.ID())
	}
	return ids
}

func (s *store) Stats(tenant string, st *engine.Stats) bool {
	t := s.e.Tenant(tenant)
	if t != nil {
		t.Stats(st)
	}
	return t != nil
}

// someActive is told apart from every number of series in these tests.
const someActive = 77

func (*store) Active(string) uint64 { return someActive }

func (s *store) source(tenant string) Source {
	if t := s.e.Tenant(tenant); t != nil {
		return t
	}
	return nil
}

// harness is a Server over an engine, with the gate open, and a connection to it.
type harness struct {
	*store
	gate *guard.Gate
	reg  *prometheus.Registry
	conn *grpc.ClientConn
}

func newHarness(t testing.TB, change func(*Options), more ...grpc.ServerOption) *harness {
	t.Helper()
	e, err := engine.Open(engine.Config{Dir: t.TempDir(), Stripes: 4, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NoError(t, e.Recover(t.Context()))
	h := &harness{store: &store{e: e}, reg: prometheus.NewRegistry()}
	h.gate = guard.NewGate(func() guard.Status { return guard.Status{Text: "replaying the log, 63 %"} })
	h.gate.Open()
	o := Options{
		Store: h.store, Source: h.source, Gate: h.gate, Rates: new(guard.Rates),
		Admission:  guard.NewAdmission(guard.Limits{}, prometheus.NewRegistry()),
		Tenancy:    guard.Tenancy{Default: "anonymous"},
		Registerer: h.reg,
	}
	if change != nil {
		change(&o)
	}
	h.gate = o.Gate
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := grpc.NewServer(append(ServerOptions(), more...)...)
	New(o).Register(srv)
	done := make(chan error)
	go func() { done <- srv.Serve(l) }()
	h.conn, err = grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(bytesCodec{}), grpc.MaxCallRecvMsgSize(100<<20), grpc.MaxCallSendMsgSize(100<<20)))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, h.conn.Close())
		srv.Stop()
		require.NoError(t, <-done)
		require.NoError(t, e.Close())
	})
	return h
}

// bytesCodec is the client's: messages are []byte.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }
func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// as is a context of a tenant.
func as(tenant string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), orgIDKey, tenant)
}

func (h *harness) call(ctx context.Context, method string, message []byte, opts ...grpc.CallOption) (answer []byte, err error) {
	err = h.conn.Invoke(ctx, "/cortex.Ingester/"+method, message, &answer, opts...)
	return answer, err
}

// stream returns all answers.
func (h *harness) stream(ctx context.Context, method string, message []byte, opts ...grpc.CallOption) (answers [][]byte, err error) {
	s, err := h.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/cortex.Ingester/"+method, opts...)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.SendMsg(message), s.CloseSend()); err != nil {
		return nil, err
	}
	for {
		var m []byte
		if err := s.RecvMsg(&m); errors.Is(err, io.EOF) {
			return answers, nil
		} else if err != nil {
			return answers, err
		}
		answers = append(answers, m)
	}
}

func (h *harness) push(t testing.TB, ctx context.Context, message []byte, opts ...grpc.CallOption) {
	t.Helper()
	answer, err := h.call(ctx, "Push", message, opts...)
	require.NoError(t, err)
	require.Empty(t, answer)
}

// writeRequest is a request of series up{instance="0"} and so on, at one time, whose value is their number.
func writeRequest(t testing.TB, series int, at int64) []byte {
	t.Helper()
	var req prompb.WriteRequest
	for i := range series {
		req.Timeseries = append(req.Timeseries, prompb.TimeSeries{
			Labels: []prompb.Label{
				{Name: "__name__", Value: "up"},
				{Name: "instance", Value: fmt.Sprint(i)},
				{Name: "job", Value: []string{"a", "b", "c"}[i%3]},
			},
			Samples: []prompb.Sample{{Timestamp: at, Value: float64(i)}},
		})
	}
	b, err := req.Marshal()
	require.NoError(t, err)
	return b
}

package grpcsrv

import (
	"context"
	"fmt"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/guard"
)

// BenchmarkPush measures what a push of a distributor costs outside of the engine: snappy-block, codec, tenant, gate,
// admission, decode, answer. The network and grpc-go's and dskit's own work are not in it.
func BenchmarkPush(b *testing.B) {
	for _, series := range []int{1, 500} {
		b.Run(fmt.Sprintf("series=%d", series), func(b *testing.B) {
			gate := guard.NewGate(func() guard.Status { return guard.Status{} })
			gate.Open()
			s := New(Options{
				Store: discard{}, Gate: gate, Tenancy: guard.Tenancy{Default: "anonymous"}, Rates: new(guard.Rates),
				Admission:  guard.NewAdmission(guard.Limits{MaxRequests: 100, MaxBytes: 1 << 30}, prometheus.NewRegistry()),
				Registerer: prometheus.NewRegistry(),
			})
			body := s2.EncodeSnappy(nil, writeRequest(b, series, 1_700_000_000_000))
			push, c := unary("Push", (*Server).push).Handler, newCodec()
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := push(s, context.Background(), func(v any) error {
					r, err := encoding.GetCompressor(SnappyBlock).Decompress(mem.BufferSlice{mem.SliceBuffer(body)}.Reader())
					if err != nil {
						return err
					}
					data, err := mem.ReadAll(r, buffers)
					if err != nil {
						return err
					}
					defer data.Free()
					defer r.(*blockReader).Close()
					return c.Unmarshal(data, v)
				}, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*series), "ns/sample")
		})
	}
}

// discard keeps nothing.
type discard struct{ Store }

func (discard) Append(_ context.Context, _ string, b *engine.Batch) (int, error) {
	return len(b.Samples), b.Fill()
}

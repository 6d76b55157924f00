package wire

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/rekindledb/rekindle/engine"
)

// podRequest is a scrape of pods as Prometheus sends it: 10 labels and about 315 bytes of 1.0 a series, one
// sample each.
func podRequest(series int) modelRequest {
	rng := rand.New(rand.NewPCG(1, 2))
	var r modelRequest
	for i := range series {
		pod := fmt.Sprintf("checkout-%d-7c9f8b6d5-%05x", i/50%40, i/50)
		r.series = append(r.series, modelSeries{
			labels: []modelLabel{
				{"__name__", fmt.Sprintf("http_server_request_duration_seconds_%02d", i%50)},
				{"cluster", "eu-central-1"},
				{"container", "checkout"},
				{"instance", fmt.Sprintf("10.%d.%d.17:8080", i/50/250, i/50%250)},
				{"job", "kubernetes-pods"},
				{"namespace", "payments"},
				{"node", fmt.Sprintf("ip-10-12-%d-31.ec2.internal", i/50%250)},
				{"pod", pod},
				{"route", "/api/v1/orders/{id}/items"},
				{"status", "200"},
			},
			samples:  []engine.Sample{{T: 1_732_233_900_000 + int64(i/50), V: math.Float64bits(float64(rng.IntN(1e6)))}},
			metadata: &modelMetadata{help: "How long requests took.", unit: "seconds", typ: 1},
		})
	}
	return r
}

// What decoding costs a sample, without Snappy and with it; beside it what hashing the keys costs alone, which
// is part of decoding, and what Prometheus's generated code needs to get to its structs. That code hashes
// nothing, checks nothing and sorts nothing yet.
func BenchmarkDecode(b *testing.B) {
	const series = 500
	r := podRequest(series)
	plain := odd{rng: rand.New(rand.NewPCG(1, 1))}
	for v, body := range map[Version][]byte{V1: plain.v1(r), V2: plain.v2(r)} {
		compressed := snappy.Encode(nil, body)
		d := NewDecoder(DefaultOptions())
		var batch engine.Batch
		run := func(name string, decode func() error) {
			b.Run(fmt.Sprintf("version=%d/%s", v, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := decode(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/series, "ns/sample")
				b.ReportMetric(float64(len(body))/series, "B/sample")
			})
		}
		run("message", func() error { return d.DecodeMessage(v, body, &batch) })
		run("snappy", func() error { return d.Decode(v, compressed, &batch) })
		if err := d.DecodeMessage(v, body, &batch); err != nil || len(batch.Series) != series {
			b.Fatal(err, len(batch.Series))
		}
		if v == V1 {
			run("prompb", func() error { return new(prompb.WriteRequest).Unmarshal(body) })
		} else {
			run("writev2", func() error { return new(writev2.Request).Unmarshal(body) })
		}
	}
}

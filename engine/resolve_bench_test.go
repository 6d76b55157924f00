package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// What it costs to find the series of a request that come in the order of the scrape before: they are copied first, as
// decompression would leave them near.
func BenchmarkResolve(b *testing.B) {
	for _, tc := range []struct {
		name    string
		batches []Batch
	}{{"targets=20", benchBatches(10_000)}, {"targets=2000", benchBatches(1_000_000)}, {"nodes=170", nodeBatches(170)}} {
		b.Run(tc.name, func(b *testing.B) {
			e := start(b, testConfig(b, func(c *Config) { c.WAL, c.Stripes = false, 16 }))
			batches := tc.batches
			series := 0
			bodies := make([][]byte, len(batches))
			for i := range batches {
				x := &batches[i]
				for k := range x.Samples {
					x.Samples[k] = sample(testNow.UnixMilli(), 1)
				}
				push(b, e, "t", x)
				series += len(x.Series)
				for k := range x.Series {
					bodies[i] = append(bodies[i], x.Series[k].Key...)
				}
			}
			t := e.Tenant("t")
			body := make([]byte, len(bodies[0])*2)
			for i := range batches { // what was laid when all was new may be laid better now
				push(b, e, "t", &batches[i])
			}
			b.ResetTimer()
			for b.Loop() {
				for i := range batches {
					x := &batches[i]
					at := 0
					copy(body, bodies[i])
					for k := range x.Series {
						n := len(x.Series[k].Key)
						x.Series[k].Key = body[at : at+n]
						at += n
					}
					x.work.begin(t)
					t.resolve(x)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*series), "ns/series")
			b.StopTimer()
			require.NoError(b, e.Close())
		})
	}
}

// nodeBatches are requests like those of the scrapes of some cAdvisors: metric after metric, of each all containers of the
// node, whose labels take more than half of a series' bytes.
func nodeBatches(nodes int) []Batch {
	const (
		containers = 100
		metrics    = 60
		perRequest = 500
	)
	rng := rand.New(rand.NewPCG(4, 4))
	hex := func(n int) string {
		b := make([]byte, n/2)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return fmt.Sprintf("%x", b)
	}
	var out []Batch
	for node := range nodes {
		var own [containers][]string
		for i := range own {
			app := fmt.Sprintf("application-%d", rng.IntN(300))
			own[i] = []string{
				"container", app, "id", fmt.Sprintf("/kubepods/burstable/pod%s/%s", hex(32), hex(64)), "image", "registry.example.com/team/" + app + ":v1.2.3",
				"name", hex(64), "namespace", fmt.Sprintf("namespace-%d", rng.IntN(40)), "pod", fmt.Sprintf("%s-%s-%s", app, hex(10), hex(5)),
			}
		}
		instance := fmt.Sprintf("10.0.%d.%d:10250", node>>8, node&255)
		for i := range metrics * containers {
			if i%perRequest == 0 {
				out = append(out, Batch{})
			}
			l := append([]string{"__name__", fmt.Sprintf("container_metric_number_%d_total", i/containers), "instance", instance, "job", "kubelet"}, own[i%containers]...)
			add(&out[len(out)-1], labels.FromStrings(l...), Sample{})
		}
	}
	return out
}

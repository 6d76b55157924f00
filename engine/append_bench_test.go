package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// benchBatches are requests of 500 series each, 10 labels a series, like pods of a Kubernetes cluster.
func benchBatches(series int) []Batch {
	const perRequest = 500
	out := make([]Batch, 0, series/perRequest)
	for at := 0; at < series; at += perRequest {
		var b Batch
		for i := range perRequest {
			target := at / perRequest
			add(&b, labels.FromStrings(
				model.MetricNameLabel, fmt.Sprintf("container_some_metric_number_%d_total", i),
				"cluster", "prod-eu-west-1", "container", "application", "endpoint", "https-metrics",
				"instance", fmt.Sprintf("10.%d.%d.%d:9090", target>>16, target>>8&255, target&255), "job", "kubelet",
				"namespace", fmt.Sprintf("namespace-%d", target%100), "node", fmt.Sprintf("node-%d", target%500),
				"pod", fmt.Sprintf("application-7c9f8d6b5-%05x", target), "service", "kubelet",
			), Sample{})
		}
		out = append(out, b)
	}
	return out
}

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// What an append costs without transport, the hash of the key included: one sample a series a request, with
// and without log and images.
func BenchmarkAppend(b *testing.B) {
	for _, tc := range []struct {
		series int
		log    bool
	}{{10_000, false}, {100_000, false}, {1_000_000, false}, {1_000_000, true}} {
		series := tc.series
		b.Run(fmt.Sprintf("series=%d/log=%v", series, tc.log), func(b *testing.B) {
			c := testConfig(b, func(c *Config) { c.WAL, c.Stripes = tc.log, 64 })
			e := start(b, c)
			batches := benchBatches(series)
			t := testNow.UnixMilli()
			round := func(k int) {
				for i := range batches {
					x := &batches[i]
					for j := range x.Samples {
						x.Samples[j] = sample(t+int64(k)*15_000, float64(k*(j%10)))
					}
					push(b, e, "t", x)
				}
			}
			round(0)
			b.ReportAllocs()
			k := 1
			before := cpuTime()
			for b.Loop() {
				round(k)
				k++
			}
			// Processor time does not mind what else the machine does, wall time does.
			b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N*series), "cpu-ns/sample")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*series), "ns/sample")
			var st Stats
			e.Tenant("t").Stats(&st)
			sum := uint64(0)
			for p, n := range st.Memory {
				sum += n
				b.ReportMetric(float64(n)/float64(series), fmt.Sprintf("%s-B/series", []string{"rec", "chunk", "label", "post", "table", "index", "pend"}[p]))
			}
			b.ReportMetric(float64(sum)/float64(series), "B/series")
			require.NoError(b, e.Close())
		})
	}
}

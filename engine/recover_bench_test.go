package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a start costs: the whole log without images, and images with a tail of nothing.
func BenchmarkRecover(b *testing.B) {
	for _, tc := range []struct{ series, scrapes int }{{1_000, 10}, {100_000, 60}, {1_000_000, 12}} {
		for _, images := range []bool{false, true} {
			b.Run(fmt.Sprintf("series=%d/scrapes=%d/images=%v", tc.series, tc.scrapes, images), func(b *testing.B) {
				c := testConfig(b, func(c *Config) { c.Stripes, c.Checkpoint = 64, images })
				e := start(b, c)
				batches := benchBatches(tc.series)
				t := testNow.UnixMilli()
				for k := range tc.scrapes {
					for i := range batches {
						x := &batches[i]
						for j := range x.Samples {
							x.Samples[j] = sample(t+int64(k)*15_000, float64(k*(j%10)))
						}
						push(b, e, "t", x)
					}
				}
				require.NoError(b, e.Close())
				samples := float64(tc.series * tc.scrapes)
				before := cpuTime()
				for b.Loop() {
					e, err := Open(c)
					require.NoError(b, err)
					require.NoError(b, e.Recover(context.Background()))
					b.StopTimer()
					require.NoError(b, e.Close())
					b.StartTimer()
				}
				b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N)/samples, "cpu-ns/sample")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/samples, "ns/sample")
			})
		}
	}
}

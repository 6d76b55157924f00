package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// What it costs to find the series of a request that come in the order of the scrape before: they are copied first, as
// decompression would leave them near.
func BenchmarkResolve(b *testing.B) {
	for _, series := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("series=%d", series), func(b *testing.B) {
			e := start(b, testConfig(b, func(c *Config) { c.WAL, c.Stripes = false, 16 }))
			batches := benchBatches(series)
			bodies := make([][]byte, len(batches))
			for i := range batches {
				x := &batches[i]
				for k := range x.Samples {
					x.Samples[k] = sample(testNow.UnixMilli(), 1)
				}
				push(b, e, "t", x)
				for k := range x.Series {
					bodies[i] = append(bodies[i], x.Series[k].Key...)
				}
			}
			t := e.Tenant("t")
			body := make([]byte, len(bodies[0])*2)
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

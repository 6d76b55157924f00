package bench

import (
	"fmt"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/engine"
)

// BenchmarkFeed measures what the workload itself costs a sample, in each form. It is what cmd/ingestbench
// takes off its figures. Requests have 500 samples; hashing and compression are not in it.
func BenchmarkFeed(b *testing.B) {
	for _, series := range []int{1_000, 100_000} {
		w := newWorkload(b, Params{Series: series})
		var batch engine.Batch
		var body []byte
		forms := map[string]func(f *Feeder, scrape, lo int){
			"batch": func(f *Feeder, scrape, lo int) { f.Batch(&batch, scrape, lo, lo+500) },
			"v1":    func(f *Feeder, scrape, lo int) { body = f.AppendV1(body[:0], scrape, lo, lo+500) },
			"v2":    func(f *Feeder, scrape, lo int) { body = f.AppendV2(body[:0], scrape, lo, lo+500) },
			"labels": func(f *Feeder, scrape, lo int) {
				_ = f.Each(scrape, lo, lo+500, false, func(int, labels.Labels, int64, float64) error { return nil })
			},
		}
		for name, feed := range forms {
			b.Run(fmt.Sprintf("form=%s/series=%d", name, series), func(b *testing.B) {
				f := w.Feeder()
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					feed(f, n/series, n%series)
					n += 500
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/sample")
			})
		}
	}
}

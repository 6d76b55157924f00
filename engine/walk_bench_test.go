package engine

import "testing"

// What the walk over an image costs a series: it is done for every image that is written and for every one that is
// loaded.
func BenchmarkWalk(b *testing.B) {
	const series = 30_000
	s := &stripe{reserve: 256 << 20}
	batches := benchBatches(series)
	for k := range 3 {
		for i := range batches {
			x := &batches[i]
			items := make([]uint32, len(x.Series))
			for j := range items {
				items[j] = uint32(j)
				x.Samples[j] = sample(testNow.UnixMilli()+int64(k)*15_000, float64(k*j))
			}
			check(s.append(x, items, bounds{minT: earliest, maxT: 1 << 60}, &outcome{}))
		}
	}
	s.takePending(nil, 1)
	image := s.a.Snapshot()
	b.ReportAllocs()
	for b.Loop() {
		if err := walkImage(0, 0, image); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*series), "ns/series")
}

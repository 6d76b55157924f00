package engine

import "testing"

// What the walk over an image costs a series: it is done for every image that is written and for every one that is
// loaded.
func BenchmarkWalk(b *testing.B) {
	const series, samples = 60_000, 60 // a stripe of 16 at a million series
	s := &stripe{reserve: 1 << 30}
	batches := benchBatches(series)
	for k := range samples {
		for i := range batches {
			x := &batches[i]
			for j := range x.Samples {
				x.Samples[j] = sample(testNow.UnixMilli()+int64(k)*15_000, float64(k*j%1000))
			}
			check(s.appendAlone(x, bounds{minT: earliest, maxT: 1 << 60}, &outcome{}))
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

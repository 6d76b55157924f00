package xor

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// The benchmarks fill chunks of 120 samples, a sample an operation, ours and Prometheus's in the same run.
// What is not measured: cache misses, which decide in the engine.

const benchSamples = 120

func benchSeries(name string) []sample {
	for _, sh := range shapes {
		if sh.name == name {
			return sh.series(rand.New(rand.NewPCG(1, 2)), benchSamples)
		}
	}
	panic("no shape " + name)
}

var benchShapes = []string{"counter", "constant", "seconds", "gauge"}

func BenchmarkAppend(b *testing.B) {
	for _, name := range benchShapes {
		samples := benchSeries(name)
		b.Run("values="+name+"/by=ours", func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 2048)
			var s State
			i := benchSamples
			size := 0
			for b.Loop() {
				if i == benchSamples {
					size = s.Size()
					Start(&s)
					i = 0
				}
				Append(buf, &s, samples[i].t, samples[i].v)
				i++
			}
			b.ReportMetric(float64(size)/benchSamples, "B/sample")
		})
		b.Run("values="+name+"/by=chunkenc", func(b *testing.B) {
			b.ReportAllocs()
			c := chunkenc.NewXORChunk()
			app, _ := c.Appender()
			i := benchSamples
			for b.Loop() {
				if i == benchSamples {
					c.Reset(append(c.Bytes()[:0], 0, 0))
					app, _ = c.Appender()
					i = 0
				}
				app.Append(0, samples[i].t, math.Float64frombits(samples[i].v))
				i++
			}
		})
	}
}

func BenchmarkIterate(b *testing.B) {
	for _, name := range benchShapes {
		buf := make([]byte, 2048)
		var s State
		Start(&s)
		for _, x := range benchSeries(name) {
			Append(buf, &s, x.t, x.v)
		}
		done := Finish(buf, &s)
		b.Run("values="+name+"/by=ours", func(b *testing.B) {
			var it Iterator
			for b.Loop() {
				if !it.Next() {
					it.Reset(done)
				}
			}
		})
		b.Run("values="+name+"/by=chunkenc", func(b *testing.B) {
			c, err := chunkenc.FromData(chunkenc.EncXOR, done)
			if err != nil {
				b.Fatal(err)
			}
			it := c.Iterator(nil)
			for b.Loop() {
				if it.Next() == chunkenc.ValNone {
					it = c.Iterator(it)
				}
			}
		})
	}
}

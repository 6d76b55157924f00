package xor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// The benchmarks fill chunks of 120 samples, a sample an operation, ours and Prometheus's in the same run.
// What is not measured: cache misses, which decide in the engine.

const benchSamples = 120

// benchSeries are series of a shape: many, so that branches cannot be learnt by heart.
func benchSeries(name string) [][]Sample {
	r := rand.New(rand.NewPCG(1, 2))
	for _, sh := range shapes {
		if sh.name == name {
			out := make([][]Sample, 64)
			for i := range out {
				for _, x := range sh.series(r, benchSamples) {
					out[i] = append(out[i], Sample{x.t, x.v})
				}
			}
			return out
		}
	}
	panic("no shape " + name)
}

var benchShapes = []string{"counter", "constant", "seconds", "gauge"}

// benchChunk is a chunk over blocks that are there.
type benchChunk struct {
	State
	blocks [40]Block
	n      int
}

func (c *benchChunk) add(x Sample) {
	if !Append(&c.blocks[c.n], &c.State, x.T, x.V) {
		c.n++
		AppendAcross(&c.blocks[c.n-1], &c.blocks[c.n], &c.State, x.T, x.V)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, name := range benchShapes {
		series := benchSeries(name)
		b.Run("values="+name+"/by=ours", func(b *testing.B) {
			b.ReportAllocs()
			var c benchChunk
			size := 0
			for i, k := benchSamples, 0; b.Loop(); i++ {
				if i == benchSamples {
					size = c.Size()
					Start(&c.State)
					i, c.n = 0, 0
					k++
				}
				c.add(series[k%len(series)][i])
			}
			b.ReportMetric(float64(size)/benchSamples, "B/sample")
		})
		for _, run := range []int{8, 32} {
			b.Run(fmt.Sprintf("values=%s/by=runs-of-%d", name, run), func(b *testing.B) {
				b.ReportAllocs()
				var c benchChunk
				k := 0
				for left := b.N; left > 0; left -= benchSamples {
					Start(&c.State)
					c.n = 0
					k++
					for rest := series[k%len(series)][:min(left, benchSamples)]; len(rest) > 0; {
						part := rest[:min(run, len(rest))]
						rest = rest[len(part):]
						for len(part) > 0 {
							n := AppendRun(&c.blocks[c.n], &c.State, part)
							if part = part[n:]; len(part) > 0 {
								c.add(part[0])
								part = part[1:]
							}
						}
					}
				}
			})
		}
		b.Run("values="+name+"/by=chunkenc", func(b *testing.B) {
			b.ReportAllocs()
			c := chunkenc.NewXORChunk()
			app, _ := c.Appender()
			for i, k := benchSamples, 0; b.Loop(); i++ {
				if i == benchSamples {
					c.Reset(append(c.Bytes()[:0], 0, 0))
					app, _ = c.Appender()
					i = 0
					k++
				}
				x := series[k%len(series)][i]
				app.Append(0, x.T, math.Float64frombits(x.V))
			}
		})
	}
}

func BenchmarkIterate(b *testing.B) {
	for _, name := range benchShapes {
		c := newChain(0)
		for _, x := range benchSeries(name)[0] {
			c.add(x.T, x.V)
		}
		done := c.finish()
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

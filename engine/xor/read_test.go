package xor

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Read finds the samples that Next finds, whatever the chunk holds and however many are asked for at a time, and
// stops where Next stops, with the same error: on chunks as appenders write them, cut short, and with bits flipped.
func TestReadFindsWhatNextFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for range 3000 {
		sh := shapes[r.IntN(len(shapes))]
		b := sh.chunk(r, r.IntN(130))
		switch r.IntN(3) {
		case 0:
			b = b[:r.IntN(len(b)+1)]
		case 1:
			for range 1 + r.IntN(3) {
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
		}
		sameReads(t, b, 1+r.IntN(150))
	}
}

func sameReads(t *testing.T, b []byte, step int) {
	t.Helper()
	var one, many Iterator
	one.Reset(b)
	many.Reset(b)
	times, values := make([]int64, step), make([]float64, step)
	for {
		n := many.Read(times, values)
		for i := range n {
			if !one.Next() {
				t.Fatalf("Next ends before sample %d of Read: %v", i, one.Err())
			}
			if at, v := one.At(); at != times[i] || v != math.Float64bits(values[i]) {
				t.Fatalf("Read finds %d, %x; Next finds %d, %x", times[i], math.Float64bits(values[i]), at, v)
			}
		}
		if n < step {
			break
		}
	}
	if one.Next() {
		t.Fatalf("Read ends before Next: %v", many.Err())
	}
	if one.Err() != many.Err() {
		t.Fatalf("Read ends with %v, Next with %v", many.Err(), one.Err())
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte{0, 0}, uint8(1))
	f.Add(shapes[0].chunk(rand.New(rand.NewPCG(4, 4)), 30), uint8(7))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) { sameReads(t, b, int(step)+1) })
}

// BenchmarkRead reads many chunks, so that branches cannot be learnt by heart, 16 samples at a time.
func BenchmarkRead(b *testing.B) {
	for _, name := range benchShapes {
		var sh shape
		for _, sh = range shapes {
			if sh.name == name {
				break
			}
		}
		r := rand.New(rand.NewPCG(1, 2))
		var chunks [1024][]byte
		for i := range chunks {
			chunks[i] = sh.chunk(r, benchSamples)
		}
		b.Run("values="+name, func(b *testing.B) {
			var (
				it     Iterator
				times  [16]int64
				values [16]float64
			)
			i := 0
			for b.Loop() {
				i++
				for it.Reset(chunks[i%len(chunks)]); it.Read(times[:], values[:]) > 0; {
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchSamples, "ns/sample")
		})
	}
}

package xor

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// same appends the samples to both encoders and compares the chunk after every sample, so that the state
// in between is the same too. The buffer holds garbage before, is as long as size says, and is followed by
// bytes that must stay.
func same(t *testing.T, samples []sample, size int, garbage byte) {
	t.Helper()
	const guard = 0x5c
	mem := bytes.Repeat([]byte{garbage}, size+32)
	for i := range mem[size:] {
		mem[size+i] = guard
	}
	b := mem[:size:size]

	ref := chunkenc.NewXORChunk()
	app, err := ref.Appender()
	if err != nil {
		t.Fatal(err)
	}
	var s State
	Start(&s)
	var out []byte
	for i, x := range samples {
		before := s
		if !Append(b, &s, x.t, x.v) {
			if s != before {
				t.Fatalf("sample %d: refused, but state changed from %+v to %+v", i, before, s)
			}
			// It must really not fit: the reference grows past the buffer.
			app.Append(0, x.t, math.Float64frombits(x.v))
			if len(ref.Bytes()) <= size {
				t.Fatalf("sample %d refused, but it would take %d of %d bytes", i, len(ref.Bytes()), size)
			}
			break
		}
		app.Append(0, x.t, math.Float64frombits(x.v))
		out = FinishTo(out[:0], b, &s)
		if !bytes.Equal(out, ref.Bytes()) {
			t.Fatalf("after sample %d (%d, %016x):\n got %x\nwant %x\nof %v", i, x.t, x.v, out, ref.Bytes(), samples[:i+1])
		}
		again, err := Resume(out)
		if err != nil {
			t.Fatalf("after sample %d: Resume: %v", i, err)
		}
		if again != s {
			t.Fatalf("after sample %d: Resume gives %+v, the appender is at %+v", i, again, s)
		}
	}
	if f := Finish(b, &s); s.N > 0 && !bytes.Equal(f, FinishTo(nil, b, &s)) {
		t.Fatal("Finish and FinishTo differ")
	}
	for i, g := range mem[size:] {
		if g != guard {
			t.Fatalf("byte %d beyond the buffer was overwritten", i)
		}
	}
}

// TestSameAsChunkenc shows that every prefix of every shape of series is the chunk that Prometheus writes,
// with buffers that end anywhere, so that the last samples meet the buffer's end at each distance.
func TestSameAsChunkenc(t *testing.T) {
	for _, sh := range shapes {
		t.Run(sh.name, func(t *testing.T) {
			for seed := range uint64(150) {
				r := rand.New(rand.NewPCG(seed, 1))
				size := 20 + r.IntN(300)
				if seed%3 == 0 {
					size = 4096
				}
				same(t, sh.series(r, 1+r.IntN(140)), size, byte(seed*37))
			}
		})
	}
	t.Run("mixed", func(t *testing.T) {
		for seed := range uint64(300) {
			r := rand.New(rand.NewPCG(seed, 2))
			p := sample{r.Int64N(2e12), 0}
			var all []sample
			for i := range 120 {
				p = shapes[r.IntN(len(shapes))].next(r, i, p)
				all = append(all, p)
			}
			same(t, all, 2+r.IntN(3000), 0xff)
		}
	})
}

// TestEveryJump shows that each pair of time steps around the borders of the encoding is written as
// Prometheus writes it, with the largest values behind them.
func TestEveryJump(t *testing.T) {
	for _, a := range jumps {
		for _, b := range jumps {
			for _, v := range []uint64{0, math.MaxUint64, 1 << 40} {
				same(t, []sample{{0, 0}, {a, v}, {a + b, 0}, {a + b + a, v}}, 128, 0xaa)
			}
		}
	}
}

// TestSmallBuffers shows that a sample is taken exactly when it fits: each size from an empty chunk on.
func TestSmallBuffers(t *testing.T) {
	for size := HeaderBytes; size < 80; size++ {
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, uint64(size)))
			same(t, shapes[seed%uint64(len(shapes))].series(r, 40), size, 0xee)
		}
	}
	var s State
	Start(&s)
	if !Append(make([]byte, HeaderBytes+MaxSampleBytes), &s, math.MinInt64, 1) {
		t.Fatal("a first sample did not fit into HeaderBytes+MaxSampleBytes")
	}
}

// TestLimits shows that a chunk whose bits can be counted no further refuses the next sample, stays as it
// is and reads back whole: with samples of two bits, of less than a word and of more.
func TestLimits(t *testing.T) {
	for name, next := range map[string]func(i int) sample{
		"two bits":  func(i int) sample { return sample{int64(i), 7} },
		"one word":  func(i int) sample { return sample{int64(i), uint64(i) * 0x9e3779b97f4a7c15 >> 20} },
		"two words": func(i int) sample { return sample{int64(i * i * i), uint64(i) * 0x9e3779b97f4a7c15} },
	} {
		t.Run(name, func(t *testing.T) {
			b := make([]byte, 1<<14)
			var s, before State
			Start(&s)
			i := 0
			for x := next(i); Append(b, &s, x.t, x.v); x = next(i) {
				before = s
				i++
			}
			if s != before {
				t.Fatal("refused, but changed")
			}
			if int(s.Bits) < maxBits-8*MaxSampleBytes {
				t.Fatalf("refused at %+v", s)
			}
			var it Iterator
			it.Reset(Finish(b, &s))
			n := 0
			for ; it.Next(); n++ {
				gt, gv := it.At()
				if x := next(n); gt != x.t || gv != x.v {
					t.Fatalf("sample %d: got %d %x, want %+v", n, gt, gv, x)
				}
			}
			if it.Err() != nil || n != i {
				t.Fatalf("read %d of %d samples back, %v", n, i, it.Err())
			}
		})
	}
}

// TestNoAllocation shows that neither direction allocates.
func TestNoAllocation(t *testing.T) {
	b := make([]byte, 4096)
	samples := shapes[3].series(rand.New(rand.NewPCG(1, 1)), 120)
	var s State
	var it Iterator
	if n := testing.AllocsPerRun(20, func() {
		Start(&s)
		for _, x := range samples {
			Append(b, &s, x.t, x.v)
		}
		it.Reset(Finish(b, &s))
		for it.Next() {
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// Example_life shows the life of a chunk: started in a buffer of an arena, appended to, copied out.
func Example_life() {
	var s State
	buf := make([]byte, 64)
	Start(&s)
	Append(buf, &s, 1000, math.Float64bits(1.5))
	Append(buf, &s, 2000, math.Float64bits(1.5))

	var it Iterator
	it.Reset(FinishTo(nil, buf, &s))
	for it.Next() {
		t, v := it.At()
		fmt.Println(t, math.Float64frombits(v))
	}
	// Output:
	// 1000 1.5
	// 2000 1.5
}

package xor

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// chain is an open chunk with all its blocks, as an owner keeps them. What is around a block, and its link, must stay
// as it is; its data is garbage before.
type chain struct {
	State
	blocks  []*guarded
	garbage byte
}

type guarded struct {
	before [64]byte
	Block
	behind [64]byte
}

const guard = 0x5c

func newChain(garbage byte) *chain {
	c := &chain{garbage: garbage}
	Start(&c.State)
	c.link()
	return c
}

func (c *chain) link() {
	g := &guarded{Block: Block{Prev: guard * 0x01010101}}
	for i := range g.before {
		g.before[i], g.behind[i] = guard, guard
	}
	for i := range g.Data {
		g.Data[i] = c.garbage
	}
	c.blocks = append(c.blocks, g)
}

func (c *chain) tail() *Block { return &c.blocks[len(c.blocks)-1].Block }

// add adds a sample, and reports whether the chunk had room.
func (c *chain) add(t int64, v uint64) bool {
	if Append(c.tail(), &c.State, t, v) {
		return true
	}
	old := c.tail()
	c.link()
	if AppendAcross(old, c.tail(), &c.State, t, v) {
		return true
	}
	c.blocks = c.blocks[:len(c.blocks)-1]
	return false
}

// finish is the finished chunk.
func (c *chain) finish() []byte {
	var b []byte
	for _, g := range c.blocks {
		b = append(b, g.Data[:]...)
	}
	return Finish(b, &c.State)
}

func (c *chain) check(t *testing.T) {
	t.Helper()
	if len(c.blocks) != c.Blocks() || !c.Valid() {
		t.Fatalf("%d blocks hold %+v", len(c.blocks), c.State)
	}
	for _, g := range c.blocks {
		if g.Prev != guard*0x01010101 {
			t.Fatalf("a link was overwritten with %x", g.Prev)
		}
		for i := range g.before {
			if g.before[i] != guard || g.behind[i] != guard {
				t.Fatal("bytes around a block were overwritten")
			}
		}
	}
}

// same appends the samples to both encoders and compares the chunk after every sample, so that the state in between is
// the same too; and then in runs of so many samples, which must leave the same blocks.
func same(t *testing.T, samples []sample, run int, garbage byte) {
	t.Helper()
	ref := chunkenc.NewXORChunk()
	app, err := ref.Appender()
	if err != nil {
		t.Fatal(err)
	}
	c := newChain(garbage)
	for i, x := range samples {
		before := c.State
		if !c.add(x.t, x.v) {
			if c.State != before {
				t.Fatalf("sample %d: refused, but state changed from %+v to %+v", i, before, c.State)
			}
			samples = samples[:i]
			break
		}
		app.Append(0, x.t, math.Float64frombits(x.v))
		out := c.finish()
		if !bytes.Equal(out, ref.Bytes()) {
			t.Fatalf("after sample %d (%d, %016x):\n got %x\nwant %x\nof %v", i, x.t, x.v, out, ref.Bytes(), samples[:i+1])
		}
		again, err := Resume(out)
		if err != nil {
			t.Fatalf("after sample %d: Resume: %v", i, err)
		}
		if again != c.State {
			t.Fatalf("after sample %d: Resume gives %+v, the appender is at %+v", i, again, c.State)
		}
	}
	c.check(t)

	r := newChain(garbage)
	for rest := samples; len(rest) > 0; {
		n := min(run, len(rest))
		r.run(t, rest[:n])
		if rest = rest[n:]; r.N != uint16(len(samples)-len(rest)) {
			t.Fatalf("%d samples in runs of %d, %d are taken", len(samples)-len(rest), run, r.N)
		}
	}
	r.check(t)
	if r.State != c.State || !bytes.Equal(r.finish(), c.finish()) {
		t.Fatalf("in runs of %d: %+v, want %+v\n got %x\nwant %x\nof %v", run, r.State, c.State, r.finish(), c.finish(), samples)
	}
}

// run adds samples in a run, those that it leaves one by one.
func (c *chain) run(t *testing.T, samples []sample) {
	var in []Sample
	for _, x := range samples {
		in = append(in, Sample{x.t, x.v})
	}
	for len(in) > 0 {
		n := AppendRun(c.tail(), &c.State, in)
		if n < len(in) {
			if c.N >= 2 && within(c.State, in[n]) && Append(c.tail(), &State{T: c.T, V: c.V, Delta: c.Delta, Bits: c.Bits, N: c.N, Lead: c.Lead, Trail: c.Trail}, in[n].T, in[n].V) {
				t.Fatalf("a run ended at %+v, which fits behind %+v", in[n], c.State)
			}
			if !c.add(in[n].T, in[n].V) {
				t.Fatalf("%+v refused behind %+v", in[n], c.State)
			}
			n++
		}
		in = in[n:]
	}
}

// within says whether a sample's time is near where it is expected.
func within(s State, x Sample) bool {
	return inRange(int64(uint64(x.T)-uint64(s.T)-s.Delta), 20)
}

// TestSameAsChunkenc shows that every prefix of every shape of series is the chunk that Prometheus writes, added one by
// one and in runs.
func TestSameAsChunkenc(t *testing.T) {
	for _, sh := range shapes {
		t.Run(sh.name, func(t *testing.T) {
			for seed := range uint64(150) {
				r := rand.New(rand.NewPCG(seed, 1))
				same(t, sh.series(r, 1+r.IntN(200)), 1+r.IntN(40), byte(seed*37))
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
			same(t, all, 1+r.IntN(40), 0xff)
		}
	})
}

// TestEveryJump shows that each pair of time steps around the borders of the encoding is written as
// Prometheus writes it, with the largest values behind them.
func TestEveryJump(t *testing.T) {
	for _, a := range jumps {
		for _, b := range jumps {
			for _, v := range []uint64{0, math.MaxUint64, 1 << 40} {
				same(t, []sample{{0, 0}, {a, v}, {a + b, 0}, {a + b + a, v}}, 4, 0xaa)
			}
		}
	}
}

// TestEveryEnd shows that samples of every size meet the end of a block at every distance, and that those that end right
// there take no new one.
func TestEveryEnd(t *testing.T) {
	next := map[string]func(s *State) sample{
		"two bits": func(s *State) sample { return sample{s.T + int64(s.Delta), s.V} },
		"some bits": func(s *State) sample {
			return sample{s.T + int64(s.Delta), s.V ^ 1<<20}
		},
		"a word and more": func(s *State) sample {
			return sample{s.T + int64(s.Delta) + 500_000, s.V ^ math.MaxUint64}
		},
		"the most": func(s *State) sample { return sample{s.T - 1<<50, s.V ^ 1<<63 ^ 1} },
	}
	seen := map[string]map[uint]bool{}
	for name, last := range next {
		seen[name] = map[uint]bool{}
		for pad := range 500 {
			samples := []sample{{1000, 5}, {2000, 5}}
			c := newChain(0xee)
			for _, x := range samples {
				c.add(x.t, x.v)
			}
			// An odd number of bits, 37, in every other chunk, and then two by two.
			if pad%2 == 1 {
				x := sample{c.T + int64(c.Delta), c.V ^ 7<<10}
				samples = append(samples, x)
				c.add(x.t, x.v)
			}
			for range pad / 2 {
				x := next["two bits"](&c.State)
				samples = append(samples, x)
				c.add(x.t, x.v)
			}
			room := blockBits - c.used()
			x := last(&c.State)
			samples = append(samples, x)
			before := len(c.blocks)
			bits := c.Bits
			c.add(x.t, x.v)
			if grown := len(c.blocks) > before; grown != (uint(c.Bits-bits) > room) {
				t.Fatalf("%s: %d bits with room for %d, a new block: %v", name, c.Bits-bits, room, grown)
			}
			seen[name][room] = true
			same(t, samples, 1+pad%7, 0xee)
		}
		for room := uint(0); room < 160; room++ {
			if !seen[name][room] {
				t.Errorf("%s: not tried with room for %d bits", name, room)
			}
		}
	}
	var s State
	var b Block
	Start(&s)
	if !Append(&b, &s, math.MinInt64, 1) || s.Size() > HeaderBytes+MaxSampleBytes {
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
			c := newChain(0xff)
			i := 0
			before := c.State
			for x := next(i); c.add(x.t, x.v); x = next(i) {
				before = c.State
				i++
			}
			if c.State != before {
				t.Fatal("refused, but changed")
			}
			if int(c.Bits) < maxBits-8*MaxSampleBytes {
				t.Fatalf("refused at %+v", c.State)
			}
			c.check(t)
			var it Iterator
			it.Reset(c.finish())
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
	var blocks [2]Block
	b := make([]byte, 2*BlockBytes)
	samples := shapes[0].series(rand.New(rand.NewPCG(1, 1)), 40)
	run := []Sample{{samples[39].t, 1}, {samples[39].t + 1, 1}}
	var s State
	var it Iterator
	if n := testing.AllocsPerRun(20, func() {
		Start(&s)
		k := 0
		for _, x := range samples {
			if !Append(&blocks[k], &s, x.t, x.v) {
				k++
				AppendAcross(&blocks[0], &blocks[1], &s, x.t, x.v)
			}
		}
		AppendRun(&blocks[k], &s, run)
		copy(b[copy(b, blocks[0].Data[:]):], blocks[1].Data[:])
		it.Reset(Finish(b, &s))
		for it.Next() {
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
	if it.Err() != nil || s.N < 40 {
		t.Fatalf("%v after %d samples", it.Err(), s.N)
	}
}

// Example_life shows the life of a chunk: started in a block, appended to, copied out.
func Example_life() {
	var (
		s State
		b Block
	)
	Start(&s)
	Append(&b, &s, 1000, math.Float64bits(1.5))
	Append(&b, &s, 2000, math.Float64bits(1.5))

	var it Iterator
	it.Reset(Finish(append([]byte(nil), b.Data[:]...), &s))
	for it.Next() {
		t, v := it.At()
		fmt.Println(t, math.Float64frombits(v))
	}
	// Output:
	// 1000 1.5
	// 2000 1.5
}

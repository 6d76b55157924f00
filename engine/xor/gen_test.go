package xor

import (
	"math"
	"math/rand/v2"
)

type sample struct {
	t int64
	v uint64
}

const staleNaN = 0x7ff0000000000002

// specials are the floats that encoders get wrong.
var specials = []uint64{
	0, math.Float64bits(math.Copysign(0, -1)), math.Float64bits(math.Inf(1)), math.Float64bits(math.Inf(-1)),
	0x7ff8000000000001, 0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001, staleNaN, math.MaxUint64,
	1, math.Float64bits(math.SmallestNonzeroFloat64), math.Float64bits(math.MaxFloat64), 1 << 63, math.Float64bits(1),
	0x000fffffffffffff, 0x0010000000000000,
}

// jumps are differences of deltas around every border of the encoding, and times at the ends of int64.
var jumps = []int64{
	0, 1, -1, 63, 64, 127, 128, 8191, 8192, 8193, -8190, -8191, -8192, 65535, 65536, 65537, -65535, -65536,
	524287, 524288, 524289, -524287, -524288, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64,
	math.MaxInt64 - 1, math.MinInt64 + 1,
}

// shape writes one kind of series. The shapes together reach every branch of the encoding.
type shape struct {
	name string
	next func(r *rand.Rand, i int, prev sample) sample
}

var shapes = []shape{
	{"counter", func(r *rand.Rand, i int, p sample) sample {
		return sample{p.t + 15000, math.Float64bits(math.Float64frombits(p.v) + float64(r.IntN(1000)))}
	}},
	{"constant", func(_ *rand.Rand, _ int, p sample) sample { return sample{p.t + 15000, p.v} }},
	{"seconds", func(r *rand.Rand, i int, p sample) sample {
		return sample{p.t + 15000 + int64(r.IntN(5)) - 2, math.Float64bits(math.Float64frombits(p.v) + r.Float64()*15)}
	}},
	{"gauge", func(r *rand.Rand, i int, p sample) sample {
		return sample{p.t + 15000, math.Float64bits(r.NormFloat64() * 1e3)}
	}},
	{"bits", func(r *rand.Rand, _ int, p sample) sample {
		return sample{p.t + 1 + int64(r.Uint64()>>(r.Uint64()&63)>>1), r.Uint64() >> (r.Uint64() & 63) << (r.Uint64() & 63)}
	}},
	{"wild", func(r *rand.Rand, _ int, p sample) sample { return sample{int64(r.Uint64()), r.Uint64()} }},
	{"special", func(r *rand.Rand, _ int, p sample) sample {
		return sample{p.t + jumps[r.IntN(len(jumps))], specials[r.IntN(len(specials))]}
	}},
	{"stale", func(r *rand.Rand, _ int, p sample) sample {
		if r.IntN(4) == 0 {
			return sample{p.t + 15000, staleNaN}
		}
		return sample{p.t + 15000, math.Float64bits(float64(r.IntN(3)))}
	}},
	{"windows", func(r *rand.Rand, i int, p sample) sample {
		// Differences whose window shrinks and grows by one at either end.
		lead, trail := r.IntN(33), r.IntN(31)
		return sample{p.t + 15000, p.v ^ 1<<(63-lead) ^ 1<<trail}
	}},
}

func (s shape) series(r *rand.Rand, n int) []sample {
	out := make([]sample, 0, n)
	p := sample{1_700_000_000_000 + r.Int64N(1000), math.Float64bits(float64(r.IntN(1000)))}
	if s.name == "wild" || r.IntN(8) == 0 {
		p.t = -p.t
	}
	for i := range n {
		out = append(out, p)
		p = s.next(r, i, p)
	}
	return out
}

// chunk is a finished chunk of up to n samples.
func (s shape) chunk(r *rand.Rand, n int) []byte {
	c := newChain(0)
	for _, x := range s.series(r, n) {
		if !c.add(x.t, x.v) {
			break
		}
	}
	return c.finish()
}

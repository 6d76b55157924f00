package wire

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/golang/snappy"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/engine"
)

func engineSample(rng *rand.Rand) engine.Sample {
	values := []uint64{0, 1 << 63, math.Float64bits(1), math.Float64bits(math.Inf(1)), 0x7ff0000000000002, 0x7ff8000000000001, rng.Uint64()}
	times := []int64{0, -1, 1, 1_732_233_900_000 + rng.Int64N(1e9), math.MinInt64, math.MaxInt64, rng.Int64()}
	return engine.Sample{T: times[rng.IntN(len(times))], V: values[rng.IntN(len(values))]}
}

// Every encoding of every request, plain or odd, right or wrong, decodes to what Prometheus's generated code
// and the rules written down in the model make of it. Decoder and batch are reused throughout, so what one
// request leaves behind would show in the next.
func TestDecodeIsLikePrometheus(t *testing.T) {
	for _, o := range []Options{DefaultOptions(), {}, {MaxLabelNames: 5, MaxNameLength: 8, MaxValueLength: 30, MaxMetadataLength: 10}} {
		d, b := NewDecoder(o), &engine.Batch{}
		for seed := range uint64(1500) {
			rng := rand.New(rand.NewPCG(seed, 1))
			enc := odd{rng: rng, rate: []float64{0, 0.02, 0.3}[seed%3]}
			r := randomRequest(rng, []float64{0, 0.05}[seed%2])
			t.Logf("seed %d", seed)
			requireLikePrometheus(t, d, o, V1, enc.v1(r), b)
			requireLikePrometheus(t, d, o, V2, enc.v2(r), b)
		}
	}
}

// A body cut anywhere, or with any one byte changed, is refused or accepted as by Prometheus.
func TestDamagedBodyIsLikePrometheus(t *testing.T) {
	o := DefaultOptions()
	d, b := NewDecoder(o), &engine.Batch{}
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 2))
		enc := odd{rng: rng, rate: 0.1}
		r := randomRequest(rng, 0)
		for v, body := range [][]byte{V1: enc.v1(r), V2: enc.v2(r)} {
			v := Version(v)
			for i := range body {
				requireLikePrometheus(t, d, o, v, body[:i:i], b)
				was := body[i]
				body[i] ^= 1 << rng.IntN(8)
				requireLikePrometheus(t, d, o, v, body, b)
				body[i] = was
			}
		}
	}
}

// A series cut anywhere, in a body that is whole, is refused or accepted as by Prometheus.
func TestCutSeriesIsLikePrometheus(t *testing.T) {
	o := DefaultOptions()
	d, b := NewDecoder(o), &engine.Batch{}
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 4))
		enc := odd{rng: rng, rate: 0.05}
		r := podRequest(1)
		r.series[0].exemplars, r.series[0].histograms = 1, 1
		for v, body := range [][]byte{V1: enc.v1(r), V2: enc.v2(r)} {
			for p := 0; p < len(body); {
				num, typ, q, f := tag(body, p)
				require.Equal(t, faultNone, f)
				next, f := skip(body, q, typ)
				require.Equal(t, faultNone, f)
				if lo, hi, _ := span(body, q); typ == wireBytes && (num == 1 || num == 5) {
					for i := lo; i < hi; i++ {
						cut := append(body[:p:p], enc.bytes(nil, int(num), body[lo:i])...)
						requireLikePrometheus(t, d, o, Version(v), append(cut, body[next:]...), b)
					}
				}
				p = next
			}
		}
	}
}

// Both versions of a request come to the same batch, through Snappy.
func TestVersionsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	d1, d2 := NewDecoder(DefaultOptions()), NewDecoder(DefaultOptions())
	var b1, b2 engine.Batch
	for range 50 {
		r := randomRequest(rng, 0)
		r.metadata = nil
		for i := range r.series {
			r.series[i].metadata = nil
			r.series[i].samples = append(r.series[i].samples, engineSample(rng))
		}
		plain := odd{rng: rng}
		require.NoError(t, d1.Decode(V1, snappy.Encode(nil, plain.v1(r)), &b1))
		require.NoError(t, d2.Decode(V2, snappy.Encode(nil, plain.v2(r)), &b2))
		require.Equal(t, b1.Series, b2.Series)
		require.Equal(t, b1.Samples, b2.Samples)
	}
}

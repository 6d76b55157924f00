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

// A series that is in canonical form but for one thing is not taken for canonical. Each of these stands among
// good labels, with enough bytes behind it for the fast path.
func TestAlmostCanonical(t *testing.T) {
	const name, a, b = "\x0a\x0d\x0a\x08__name__\x12\x01x", "\x0a\x06\x0a\x01a\x12\x01v", "\x0a\x06\x0a\x01b\x12\x01v"
	const sample, exemplar, histogram = "\x12\x02\x10\x05", "\x1a\x00", "\x22\x00"
	for _, series := range []string{
		name + a + b + sample, // this one is
		a + name + b + sample,
		name + a + a + sample,
		name + b + a + sample,
		name + name + a + sample,
		a + b + sample,
		name + "\x0a\x05\x0a\x00\x12\x01v" + sample,                      // no name
		name + "\x0a\x05\x0a\x01a\x12\x00" + b + sample,                  // no value
		name + "\x0a\x03\x0a\x01a" + b + sample,                          // not even its tag
		name + "\x0a\x06\x12\x01v\x0a\x01a" + b + sample,                 // value first
		name + "\x0a\x08\x0a\x01a\x12\x01v\x18\x01" + b + sample,         // an unknown field behind
		name + "\x0a\x09\x0a\x01a\x12\x01v\x12\x01w" + b + sample,        // a second value
		name + "\x0a\x06\x0a\x01a\x1a\x01v" + b + sample,                 // another field in place of the value
		name + "\x0a\x86\x00\x0a\x01a\x12\x01v" + b + sample,             // long size
		name + "\x0a\x07\x0a\x81\x00a\x12\x01v" + b + sample,             // long size of the name
		name + "\x0a\x07\x0a\x01a\x12\x81\x00v" + b + sample,             // long size of the value
		name + "\x8a\x00\x06\x0a\x01a\x12\x01v" + b + sample,             // long tag
		name + "\x0a\x06\x0a\x01\xff\x12\x01v" + sample,                  // a name that is not UTF-8
		name + "\x0a\x06\x0a\x01a\x12\x01\xff" + b + sample,              // a value that is not
		"\x0a\x0d\x0a\x08__name_`\x12\x01x" + a + sample,                 // almost the metric's name
		"\x0a\x0e\x0a\x09__name___\x12\x01x" + a + sample,                // and with a byte more
		name + exemplar + a + sample + histogram,                         // what is read before the label counts once
		name + a + sample + exemplar + histogram + b + sample + exemplar, // and what is read after it
		name + a + "\x0a\x10\x0a\x01b\x12\x0bvvvvvvvvvvv",                // a label of the right size for another series
		name + a + "\x0a\x08\x0a\x01b\x12\x01v",                          // one that is longer than the series
		name + a + "\x0a\x06\x0a\x01b\x12\x03v",                          // a value that is longer than its label
	} {
		body := bytesOf("\x0a", len(series), series, "\x0a\x13", name, sample, "\x7a", 200, make([]byte, 200))
		requireLikePrometheus(t, NewDecoder(Options{}), Options{}, V1, body, &engine.Batch{})
	}
}

// Keys stay what they are when Scratch has to grow in the middle of a request.
func TestScratchGrows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	r := podRequest(300)
	for _, s := range r.series {
		rng.Shuffle(len(s.labels), func(i, j int) { s.labels[i], s.labels[j] = s.labels[j], s.labels[i] })
	}
	o := DefaultOptions()
	requireLikePrometheus(t, NewDecoder(o), o, V1, odd{rng: rng}.v1(r), &engine.Batch{})
	requireLikePrometheus(t, NewDecoder(o), o, V2, odd{rng: rng}.v2(podRequest(300)), &engine.Batch{})
}

// Of series that say the same about their family one is heard, and each that says something else.
func TestMetadataOnce(t *testing.T) {
	var r modelRequest
	for _, md := range []modelMetadata{{"", "h", "u", 1}, {"", "h", "u", 1}, {"", "h", "v", 1}, {"", "i", "v", 1}, {"", "i", "v", 2}, {"", "i", "v", 2}} {
		r.series = append(r.series, modelSeries{labels: []modelLabel{{metricName, "x"}}, samples: []engine.Sample{{T: 1}}, metadata: &md})
	}
	var b engine.Batch
	requireLikePrometheus(t, NewDecoder(Options{}), Options{}, V2, odd{rng: rand.New(rand.NewPCG(1, 1))}.v2(r), &b)
	require.Len(t, b.Metadata, 4)
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
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 4))
		enc := odd{rng: rng, rate: 0.05}
		r := podRequest(2)
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

// What a distributor sends is taken as it is: a series needs no name, and the request says if a ruler made it. Labels out
// of order fail the whole request, in the words that Cortex has for it.
func TestDistributorRequests(t *testing.T) {
	sample := bytesOf("\x12\x09", "\x09", "12345678")
	series := func(labels ...any) []byte { return field(1, bytesOf(append(labels, sample)...)) }
	label := func(name, value string) []byte { return field(1, bytesOf(field(1, name), field(2, value))) }
	d, b := NewDecoder(DistributorOptions()), &engine.Batch{}

	body := bytesOf(series(label("job", "a")), series(label("a", "b"), label("a", "c")), "\x10\x01", "\xca\x3e\x00", "\xd0\x3e\x01")
	require.NoError(t, d.DecodeMessage(V1, body, b))
	require.Len(t, b.Series, 1)
	require.Equal(t, label("job", "a"), b.Series[0].Key)
	require.Equal(t, ReasonDuplicateNames, b.InvalidReason)
	require.True(t, d.Rule())

	require.NoError(t, d.DecodeMessage(V1, series(label("", "")), b))
	require.Equal(t, ReasonMissingMetricName, b.InvalidReason)
	require.False(t, d.Rule())

	body = bytesOf(series(label("job", "a")), series(label("__name__", "up"), label("b", "1"), label("a", "2")))
	require.EqualError(t, d.DecodeMessage(V1, body, b), `out-of-order label set found when push: up{b="1", a="2"}`)
	require.Empty(t, b.Series)
}

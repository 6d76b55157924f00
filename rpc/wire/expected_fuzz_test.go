package wire

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/engine"
)

// sourceFunc is a function as an engine.Source.
type sourceFunc func(b *engine.Batch) error

func (f sourceFunc) Fill(b *engine.Batch) error { return f(b) }

// Any request, and requests that are like it but for a label: what is decoded with the engine's expectations is what
// Prometheus's generated code makes of it.
func FuzzExpected(f *testing.F) {
	const runs = 200 // of an engine, which keeps what it is sent
	var (
		e   *engine.Engine
		dir string
		b   engine.Batch
	)
	closed := func() error {
		if e == nil {
			return nil
		}
		return errors.Join(e.Close(), os.RemoveAll(dir))
	}
	f.Cleanup(func() { require.NoError(f, closed()) })
	for seed := range uint64(60) {
		f.Add(seed, uint8(seed%3*20), uint8(seed%4*10), uint8(seed%5))
	}
	n := 0
	f.Fuzz(func(t *testing.T, seed uint64, oddities, faults, limits uint8) {
		if n++; n%runs == 1 {
			require.NoError(t, closed())
			var err error
			dir, err = os.MkdirTemp("", "expected")
			require.NoError(t, err)
			e, err = engine.Open(engine.Config{Dir: dir, Instance: "fuzz", Stripes: 2, Logger: slog.New(slog.DiscardHandler), CreateGrace: time.Hour})
			require.NoError(t, err)
			require.NoError(t, e.Recover(t.Context()))
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		enc := odd{rng: rng, rate: float64(oddities) / 256}
		r := randomRequest(rng, float64(faults)/1024)
		now := time.Now().UnixMilli()
		for k := range 6 {
			for i := range r.series {
				for j := range r.series[i].samples {
					r.series[i].samples[j].T = now + int64(k*100+j)
				}
			}
			body := enc.v1(r)
			o := DistributorOptions()
			if k%3 > 0 { // what is known need not be within them
				o = []Options{DefaultOptions(), {Nameless: true}, {MaxLabelNames: 5}, {MaxNameLength: 13}, {MaxValueLength: 30}}[limits%5]
			}
			d := NewDecoder(o)
			b.Source = sourceFunc(func(b *engine.Batch) error {
				requireLikePrometheus(t, d, o, V1, body, b)
				return nil
			})
			_, err := e.Append(t.Context(), "t", &b)
			if refused := new(engine.SampleError); err != nil {
				require.ErrorAs(t, err, &refused)
			}
			if k%2 == 1 {
				r.change(rng)
			}
		}
	})
}

// change makes another series of one in the request.
func (r *modelRequest) change(rng *rand.Rand) {
	if len(r.series) == 0 {
		return
	}
	s := &r.series[rng.IntN(len(r.series))]
	s.labels = slices.Clone(s.labels)
	i := len(s.labels) - 1 // it is the last label that ends a key
	if i < 0 {
		return
	}
	if rng.IntN(2) == 0 {
		i = rng.IntN(len(s.labels))
	}
	switch rng.IntN(4) {
	case 0:
		s.labels = slices.Delete(s.labels, i, i+1)
	case 1:
		s.labels[i].value += "x"
	case 2:
		s.labels[i].name += "x"
	default:
		s.labels = slices.Insert(s.labels, i+1, modelLabel{s.labels[i].name + "x", "v"})
	}
}

package promstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/engine"
)

// openEngine starts an engine.
func openEngine(t testing.TB, c engine.Config) *engine.Engine {
	t.Helper()
	c.Logger = slog.New(slog.DiscardHandler)
	e, err := engine.Open(c)
	require.NoError(t, err)
	require.NoError(t, e.Recover(t.Context()))
	return e
}

// batchOf makes one request of all of c.
func batchOf(c corpus) *engine.Batch {
	b := &engine.Batch{}
	for _, s := range c {
		key := canonicalKey(s.labels)
		lo := uint32(len(b.Samples))
		for _, v := range s.samples {
			b.Samples = append(b.Samples, engine.Sample{T: v.t, V: math.Float64bits(v.f)})
		}
		b.Series = append(b.Series, engine.BatchSeries{Key: key, Lo: lo, Hi: uint32(len(b.Samples))})
	}
	return b
}

// canonicalKey is the key of a series as engine.BatchSeries describes it.
func canonicalKey(ls labels.Labels) []byte {
	field := func(dst []byte, tag byte, v string) []byte {
		return append(binary.AppendUvarint(append(dst, tag), uint64(len(v))), v...)
	}
	var key []byte
	ls.Range(func(l labels.Label) {
		key = field(key, 0x0a, string(field(field(nil, 0x0a, l.Name), 0x12, l.Value)))
	})
	return key
}

// push stores c in the engine, as one request, all of which must be taken.
func push(t testing.TB, e *engine.Engine, tenant string, c corpus) {
	t.Helper()
	b := batchOf(c)
	res, err := e.Append(t.Context(), tenant, b)
	require.NoError(t, err)
	require.Equal(t, len(b.Samples), res.Stored+res.Duplicates)
}

// The engine gives the same answers as a head of Prometheus that holds the same samples, with one stripe and with
// many, and again after a restart.
func TestEngineSameAsHead(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, stripes := range []int{1, 16} {
		t.Run(fmt.Sprintf("stripes=%d", stripes), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, uint64(stripes)))
			c := newCorpus(rng, 100)
			config := engine.Config{Dir: t.TempDir(), WAL: true, Recover: true, Checkpoint: true, Stripes: stripes}
			e := openEngine(t, config)
			push(t, e, "tenant", c)
			head := headOf(t, c)
			sameAsHead(t, rng, head, New(e.Tenant("tenant")), 200)
			everyMatcherAlone(t, head, New(e.Tenant("tenant")))
			require.NoError(t, e.Close())

			e = openEngine(t, config)
			defer func() { require.NoError(t, e.Close()) }()
			sameAsHead(t, rng, head, New(e.Tenant("tenant")), 50)
		})
	}
}

// Wherever a question to the engine finds its context done, it ends with the context's error and no answer.
func TestEngineIsCancelled(t *testing.T) {
	e := openEngine(t, engine.Config{Dir: t.TempDir(), Stripes: 4})
	defer func() { require.NoError(t, e.Close()) }()
	c := counters(3000)
	for i := range c {
		c[i].samples = c[i].samples[:1]
	}
	push(t, e, "tenant", c)
	tenant := e.Tenant("tenant")
	for name, ask := range map[string]func(ctx context.Context) (int, error){
		"select": func(ctx context.Context) (int, error) {
			list, err := tenant.Select(ctx, corpusStart, corpusEnd, everything)
			return len(list), err
		},
		"names": func(ctx context.Context) (int, error) {
			list, err := tenant.LabelNames(ctx, corpusStart, corpusEnd, 0, everything)
			return len(list), err
		},
		"values": func(ctx context.Context) (int, error) {
			list, err := tenant.LabelValues(ctx, "pod", corpusStart, corpusEnd, 0, everything)
			return len(list), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			for asks := int64(0); ; asks++ {
				ctx := &expiring{Context: t.Context()}
				ctx.asks.Store(asks)
				n, err := ask(ctx)
				if err == nil {
					require.Positive(t, n)
					require.Greater(t, asks, int64(4), "the context is not looked at in every stripe")
					return
				}
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Zero(t, n)
			}
		})
	}
}

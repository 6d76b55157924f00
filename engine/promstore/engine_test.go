package promstore

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/engine"
)

// openEngine starts an engine in dir.
func openEngine(t testing.TB, dir string, stripes int) *engine.Engine {
	t.Helper()
	e, err := engine.Open(engine.Config{Dir: dir, WAL: true, Recover: true, Checkpoint: true, Stripes: stripes})
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
		b.Series = append(b.Series, engine.BatchSeries{Key: key, Hash: xxhash.Sum64(key), Lo: lo, Hi: uint32(len(b.Samples))})
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
			dir := filepath.Join(t.TempDir(), "data")
			e := openEngine(t, dir, stripes)
			push(t, e, "tenant", c)
			sameAsHead(t, rng, c, New(e.Tenant("tenant")), 200)
			everyMatcherAlone(t, c, New(e.Tenant("tenant")))
			require.NoError(t, e.Close())

			e = openEngine(t, dir, stripes)
			defer func() { require.NoError(t, e.Close()) }()
			sameAsHead(t, rng, c, New(e.Tenant("tenant")), 100)
		})
	}
}

package takein

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// oldCortex writes the log of a chunk-storage ingester as Cortex 1.10 does: the records of a request when it is in
// memory, a checkpoint of everything from time to time.
type oldCortex struct {
	t    *testing.T
	dir  string
	log  *wlog.WL
	r    *rand.Rand
	now  int64
	held map[string]all // by tenant
	lset map[string]labels.Labels
	refs map[string]uint64
}

func newOldCortex(t *testing.T) *oldCortex {
	o := &oldCortex{
		t: t, dir: filepath.Join(t.TempDir(), "wal-dir"), r: rand.New(rand.NewPCG(1, 10)), now: 1_600_000_000_000,
		held: map[string]all{}, lset: map[string]labels.Labels{}, refs: map[string]uint64{},
	}
	var err error
	o.log, err = wlog.NewSize(nil, nil, o.dir, 64<<10, compression.None)
	require.NoError(t, err)
	return o
}

func (o *oldCortex) record(typ byte, tenant string, body []byte) {
	b := binary.AppendUvarint([]byte{typ}, uint64(len(tenant)))
	require.NoError(o.t, o.log.Log(append(append(b, tenant...), body...)))
}

// push sends n scrapes of a tenant.
func (o *oldCortex) push(tenant string, series, n int) {
	if o.held[tenant] == nil {
		o.held[tenant] = all{}
	}
	var enc record.Encoder
	for range n {
		o.now += step
		var names []record.RefSeries
		var samples []record.RefSample
		for i := range series {
			l := labels.FromStrings("__name__", fmt.Sprint("m", i%3), "pod", fmt.Sprint(i))
			name := l.String()
			ref, known := o.refs[tenant+name]
			if !known {
				ref = o.r.Uint64() // a fingerprint
				o.refs[tenant+name], o.lset[name] = ref, l
				names = append(names, record.RefSeries{Ref: chunks.HeadSeriesRef(ref), Labels: l})
			}
			v := float64(o.r.IntN(1000))
			samples = append(samples, record.RefSample{Ref: chunks.HeadSeriesRef(ref), T: o.now, V: v})
			o.held[tenant][name] = append(o.held[tenant][name], point{o.now, math.Float64bits(v)})
		}
		if len(names) > 0 {
			o.record(chunkRecordSeries, tenant, enc.Series(names, nil))
		}
		o.record(chunkRecordSamples, tenant, enc.Samples(samples, nil))
	}
}

// checkpoint writes all that is held, named after the present segment, which goes on. legacy leaves the type out.
func (o *oldCortex) checkpoint(legacy bool) string {
	_, last, err := wlog.Segments(o.dir)
	require.NoError(o.t, err)
	name := filepath.Join(o.dir, fmt.Sprintf("checkpoint.%06d", last))
	w, err := wlog.NewSize(nil, nil, name, 64<<10, compression.None)
	require.NoError(o.t, err)
	for tenant, all := range o.held {
		for series, points := range all {
			b := []byte{chunkRecordCheckpoint}
			if legacy {
				b = nil
			}
			b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), tenant)
			b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), o.refs[tenant+series])
			o.lset[series].Range(func(l labels.Label) {
				p := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), l.Name)
				p = protowire.AppendString(protowire.AppendTag(p, 2, protowire.BytesType), l.Value)
				b = protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), p)
			})
			half := len(points) / 2
			for i, part := range [][]point{points[:half], points[half:]} {
				encoding, data := uint64(chunkEncodingBig), o.big(part)
				if i == 1 && len(part) < 120 && len(part) > 0 {
					encoding, data = chunkEncodingXOR, o.xor(part)
				}
				c := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
				c = protowire.AppendVarint(protowire.AppendTag(c, 3, protowire.VarintType), encoding)
				c = protowire.AppendBytes(protowire.AppendTag(c, 4, protowire.BytesType), data)
				b = protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), c)
			}
			require.NoError(o.t, w.Log(b))
		}
	}
	require.NoError(o.t, w.Close())
	return name
}

func (o *oldCortex) xor(points []point) []byte {
	c := chunkenc.NewXORChunk()
	app, err := c.Appender()
	require.NoError(o.t, err)
	for _, p := range points {
		app.Append(0, p.t, math.Float64frombits(p.v))
	}
	return c.Bytes()
}

func (o *oldCortex) big(points []point) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16((len(points)+119)/120))
	for len(points) > 0 {
		n := min(120, len(points))
		x := o.xor(points[:n])
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(x))), x...)
		points = points[n:]
	}
	return b
}

// The log of a chunk-storage ingester becomes tenants of ours: checkpoint, with and without the type byte, and the
// segments from its own on, which repeat a part of it. Every sample of every tenant is there, once. Should the newest
// checkpoint be damaged, the one before it and more of the log have the same.
func TestTakeOverChunkStorage(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		t.Run(fmt.Sprint("legacy=", legacy), func(t *testing.T) {
			o := newOldCortex(t)
			for i := range 300 {
				o.push("team-a", 30, 1)
				if i%3 == 0 {
					o.push("team-b", 5, 1)
				}
			}
			o.checkpoint(legacy)
			o.push("team-a", 40, 200)
			newest := o.checkpoint(legacy)
			o.push("team-a", 40, 100)
			o.push("team-c", 3, 2)
			require.NoError(t, o.log.Close())
			require.NoError(t, os.RemoveAll(filepath.Join(o.dir, "00000000"))) // what the older checkpoint covers is removed in time

			take := func() {
				before := fingerprint(t, o.dir)
				c := config(t.TempDir())
				reports, err := Run(context.Background(), Options{Source: o.dir, Engine: c})
				require.NoError(t, err)
				require.Len(t, reports, len(o.held))
				for _, r := range reports {
					want := o.held[r.Tenant]
					requireEqual(t, want, held(t, c, r.Tenant))
					require.Equal(t, uint64(want.samples()), r.Samples)
					require.Empty(t, r.Dropped)
				}
				again, err := Run(context.Background(), Options{Source: o.dir, Engine: c})
				require.NoError(t, err)
				require.True(t, again[0].Before && again[1].Before)
				require.Equal(t, before, fingerprint(t, o.dir))
			}
			take()
			name := filepath.Join(newest, "00000000")
			b, err := os.ReadFile(name)
			require.NoError(t, err)
			b[len(b)/3] ^= 1
			require.NoError(t, os.WriteFile(name, b, 0o644))
			take()

			c := config(t.TempDir())
			_, err = Run(context.Background(), Options{Source: o.dir, Tenant: "x", Engine: c})
			require.ErrorContains(t, err, "3 tenants, which keep their names: team-a team-b team-c")
		})
	}
}

// The only tenant, "fake" where Cortex ran without authentication, may get another name. The folder of a Prometheus's
// log looks alike from outside and is refused.
func TestTakeOverChunkStorageNames(t *testing.T) {
	o := newOldCortex(t)
	o.push("fake", 10, 10)
	require.NoError(t, o.log.Close())
	c := config(t.TempDir())
	reports, err := Run(context.Background(), Options{Source: o.dir, Tenant: "anonymous", Engine: c})
	require.NoError(t, err)
	require.Equal(t, "anonymous", reports[0].Tenant)
	requireEqual(t, o.held["fake"], held(t, c, "anonymous"))

	s := newStock(t, 1)
	s.scrape(5, 5)
	s.close()
	_, err = Run(context.Background(), Options{Source: filepath.Join(s.dir, "wal"), Tenant: "x", Engine: c})
	require.ErrorContains(t, err, "name the directory that it lies in")
}

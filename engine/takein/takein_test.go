package takein

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/walio"
)

// A directory that tsdb.Head wrote, with floats, native histograms, exemplars, metadata, out-of-order samples and
// deletions, in any compression, with a snapshot of memory or without, is taken over: our engine answers the floats that stock
// Prometheus answers from it, bit for bit, what is not stored is counted exactly, and the source is as it was.
func TestTakeOver(t *testing.T) {
	for name, change := range map[string]func(*tsdb.Options){
		"snappy":   func(*tsdb.Options) {},
		"zstd":     func(o *tsdb.Options) { o.WALCompression = compression.Zstd },
		"none":     func(o *tsdb.Options) { o.WALCompression = compression.None },
		"snapshot": func(o *tsdb.Options) { o.EnableMemorySnapshotOnShutdown = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStock(t, 1, change)
			s.scrape(60, 150)
			s.lateSamples(60, 300)
			s.scrape(70, 60)
			s.lateSamples(60, 300)
			require.NoError(t, s.db.Delete(context.Background(), s.now-100*step, s.now-20*step, labels.MustNewMatcher(labels.MatchEqual, "pod", "pod-7")))
			s.scrape(70, 10)
			s.close()
			s.open(change) // the log goes on in another segment
			s.scrape(70, 20)
			s.close()

			want, before := s.answers(), fingerprint(t, s.dir)
			c := config(t.TempDir())
			reports, err := Run(context.Background(), Options{Source: s.dir, Tenant: "team", Engine: c})
			require.NoError(t, err)
			require.Equal(t, before, fingerprint(t, s.dir))
			requireEqual(t, want, held(t, c, "team"))

			r := reports[0]
			require.Equal(t, uint64(want.samples()), r.Samples)
			require.Equal(t, uint64(len(want)), r.Series)
			require.Equal(t, map[string]uint64{
				kindHistogram: uint64(s.hists), kindFloatHistogram: uint64(s.fhists), kindHistogramStale: r.NotStored[kindHistogramStale],
				kindExemplar: uint64(s.exemplars), kindMetadata: r.NotStored[kindMetadata],
			}, r.NotStored)
			require.NotZero(t, r.NotStored[kindHistogramStale])
			require.LessOrEqual(t, r.NotStored[kindMetadata], uint64(s.metadata))
			require.NotZero(t, r.OutOfOrder)
			require.NotZero(t, r.Dropped[droppedDeleted])
			// Nothing is passed over in silence: all that was sent is in one of the counts.
			require.Equal(t, uint64(s.floats+s.late+s.stale), r.Samples+r.NotStored[kindHistogramStale]+r.Dropped[droppedDeleted]+r.Dropped[droppedDuplicate])
			require.Empty(t, r.Lost)

			// Again, with nothing to do; and never over a tenant that is there for another reason.
			again, err := Run(context.Background(), Options{Source: s.dir, Tenant: "team", Engine: c})
			require.NoError(t, err)
			require.True(t, again[0].Before)
			require.Equal(t, r.Samples, again[0].Samples)
			_, err = Run(context.Background(), Options{Source: copyOf(t, s.dir), Tenant: "team", Engine: c})
			require.ErrorIs(t, err, ErrExists)
		})
	}
}

// Records that only newer versions write are read, too: samples with start timestamps, which are stored without them. A type
// that nobody knows yet is counted, and so is a sample whose series nothing names.
func TestTakeOverNewKinds(t *testing.T) {
	s := newStock(t, 8, func(o *tsdb.Options) { o.EnableSTStorage, o.FloatChunkEncoding = true, chunkenc.EncXOR2 })
	for i := range 100 {
		app := s.db.AppenderV2(context.Background())
		for k := range 10 {
			_, err := app.Append(0, s.labels(k), s.now-step, s.now+int64(i)*step, float64(i*k), nil, nil, storage.AOptions{})
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	s.close()
	w, err := wlog.NewSize(nil, nil, filepath.Join(s.dir, "wal"), 128<<10, compression.Snappy)
	require.NoError(t, err)
	require.NoError(t, w.Log([]byte{77, 1, 2, 3}))
	var enc record.Encoder
	require.NoError(t, w.Log(enc.Samples([]record.RefSample{{Ref: 4711, T: s.now, V: 1}}, nil)))
	require.NoError(t, w.Close())

	want := s.answers()
	require.Equal(t, 1000, want.samples())
	c := config(t.TempDir())
	reports, err := Run(context.Background(), Options{Source: s.dir, Tenant: "team", Engine: c})
	require.NoError(t, err)
	requireEqual(t, want, held(t, c, "team"))
	require.Equal(t, map[string]uint64{kindStart: 1000, "records of unknown type 77": 1}, reports[0].NotStored)
	require.Equal(t, map[string]uint64{droppedNoSeries: 1}, reports[0].Dropped)
}

// When the head was compacted there are blocks, a checkpoint, and samples in the log that are in a block already: what is
// taken over is what stock answers from the head, and the blocks are said. A root of several tenants' directories, as
// Cortex and Mimir have it, gives each its name.
func TestTakeOverBehindBlocks(t *testing.T) {
	root := t.TempDir()
	wants, late, sources := map[string]all{}, map[string]all{}, map[string]*stock{}
	for i, tenant := range []string{"team-a", "team-b"} {
		s := newStock(t, uint64(5+i))
		for range 5 {
			s.scrape(40, 300)
			s.lateSamples(40, 50)
			s.db.EnableCompactions()
			require.NoError(t, s.db.Compact(context.Background()))
			s.db.DisableCompactions()
		}
		s.scrape(40, 100)
		s.lateSamples(40, 50)
		require.NotEmpty(t, s.db.Blocks())
		late[tenant] = s.lateBlocks()
		require.NotEmpty(t, late[tenant])
		s.close()
		dir := filepath.Join(root, tenant)
		require.NoError(t, os.Rename(s.dir, dir))
		s.dir = dir
		checkpoints, err := filepath.Glob(filepath.Join(dir, "wal", "checkpoint.*"))
		require.NoError(t, err)
		require.NotEmpty(t, checkpoints)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "thanos.shipper.json"), []byte(`{"version":1,"uploaded":["`+s.db.Blocks()[0].Meta().ULID.String()+`"]}`), 0o644))
		wants[tenant], sources[tenant] = s.answers(), s
	}
	require.NoError(t, os.MkdirAll(filepath.Join(root, "not-a-tenant"), 0o755))
	before := fingerprint(t, root)
	c := config(t.TempDir())
	reports, err := Run(context.Background(), Options{Source: root, Engine: c})
	require.NoError(t, err)
	require.Equal(t, before, fingerprint(t, root))
	require.Len(t, reports, 2)
	for _, r := range reports {
		src, err := open(r.Source)
		require.NoError(t, err)
		require.Greater(t, src.minValid, int64(math.MinInt64))
		got := held(t, c, r.Tenant)
		requireEqual(t, wants[r.Tenant].without(late[r.Tenant]).since(src.minValid), got.without(late[r.Tenant]).since(src.minValid))
		for name, points := range got { // older ones are late ones, and stock's too
			theirs := map[point]bool{}
			for _, p := range wants[r.Tenant][name] {
				theirs[p] = true
			}
			for _, p := range points {
				require.True(t, theirs[p], "%s has %v", name, p)
			}
		}
		require.NotZero(t, r.Dropped[droppedInBlocks])
		n := len(sources[r.Tenant].db.Blocks())
		require.Contains(t, r.String(), fmt.Sprintf("note: %d blocks", n))
		require.Contains(t, r.String(), fmt.Sprintf("and %d of them are not named as shipped", n-1))
	}
}

// A crash leaves an unfinished record at the end of the log: expected, said, and nothing else is missing. A changed byte in
// the middle is damage: nothing is taken over, unless it is asked for; then all but what the byte has cost.
func TestTakeOverDamaged(t *testing.T) {
	s := newStock(t, 3, func(o *tsdb.Options) { o.WALSegmentSize = 32 << 10 })
	s.scrape(50, 200)
	s.close()
	whole := s.answers()
	segments, err := filepath.Glob(filepath.Join(s.dir, "wal", "0*"))
	require.NoError(t, err)
	require.Greater(t, len(segments), 1)
	last := segments[len(segments)-1]
	edit := func(name string, change func([]byte) []byte) {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, change(b), 0o644))
	}
	edit(last, func(b []byte) []byte { return append(b, 1, 0, 200, 1, 2, 3, 4, 5, 6, 7) })
	c := config(t.TempDir())
	reports, err := Run(context.Background(), Options{Source: s.dir, Tenant: "torn", Engine: c})
	require.NoError(t, err)
	require.Contains(t, reports[0].String(), "unfinished record of 10 bytes")
	requireEqual(t, whole, held(t, c, "torn"))

	var hit int64 // the last byte of a scrape's samples
	require.NoError(t, walio.ReadForeign(disk.OS, segments[0], func(r *walio.ForeignRecord) error {
		if r.Data[0] == byte(record.Samples) && r.Off > 10_000 {
			hit = r.End - 1
		}
		return nil
	}))
	edit(segments[0], func(b []byte) []byte { b[hit] ^= 1; return b })
	_, err = Run(context.Background(), Options{Source: s.dir, Tenant: "hurt", Engine: c})
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, "wal/00000000 from byte")
	require.NoDirExists(t, filepath.Join(c.Dir, "hurt"))
	reports, err = Run(context.Background(), Options{Source: s.dir, Tenant: "hurt", Engine: c, Damaged: true})
	require.NoError(t, err)
	require.NotEmpty(t, reports[0].Lost)
	got := held(t, c, "hurt")
	require.Less(t, got.samples(), whole.samples())
	require.Greater(t, got.samples(), whole.samples()-200) // one record
}

// What must not be read is refused by a message that says why: a running Prometheus, a directory that changes meanwhile,
// missing segments, our own directories, a log of Cortex 1.10, and nothing at all.
func TestRefused(t *testing.T) {
	c := config(t.TempDir())
	refused := func(dir, tenant, text string) {
		t.Helper()
		_, err := Run(context.Background(), Options{Source: dir, Tenant: tenant, Engine: c})
		require.ErrorContains(t, err, text)
		require.NoDirExists(t, filepath.Join(c.Dir, "x"))
		require.NoDirExists(t, engine.ImportDir(c.Dir))
	}
	s := newStock(t, 2)
	s.scrape(20, 20)
	refused(s.dir, "x", "is held by a running process")
	refused(s.dir, "", "say under which id")
	refused(s.dir, "a/b", "a/b")
	s.scrape(200, 200)
	s.close()
	refused(t.TempDir(), "x", "holds no write-ahead log")
	refused(filepath.Join(s.dir, "nothing"), "x", "is no directory")
	refused(filepath.Dir(s.dir), "x", "keep their names")

	changing := copyOf(t, s.dir)
	n := 0
	_, err := Run(context.Background(), Options{Source: changing, Tenant: "x", Engine: c, Progress: func(what string, _, _ int64) {
		if n++; n == 5 {
			require.NoError(t, os.Chtimes(filepath.Join(changing, "wal", "00000000"), time.Now(), time.Now().Add(time.Second)))
		}
	}})
	require.ErrorContains(t, err, "was changed while it was read")
	require.NoDirExists(t, filepath.Join(c.Dir, "x"))

	hole := copyOf(t, s.dir)
	require.NoError(t, os.Remove(filepath.Join(hole, "wal", "00000001")))
	refused(hole, "x", "segments 1 to 1")

	ours := config(t.TempDir())
	_, err = Run(context.Background(), Options{Source: s.dir, Tenant: "x", Engine: ours})
	require.NoError(t, err)
	refused(ours.Dir, "", "a data directory of this program")
	refused(filepath.Join(copyOf(t, ours.Dir), "x"), "x", "a tenant of this program")
}

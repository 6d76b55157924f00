package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	promrecord "github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// Prometheus's own reader is the witness: after every start the log opens in it, without an error, shows every
// series, once, and of each the samples that the log still holds.

// export copies a directory to a real disk.
func export(t testing.TB, from disk.FS, dir, to string) {
	t.Helper()
	entries, err := from.ReadDir(dir)
	require.NoError(t, err)
	require.NoError(t, disk.OS.MkdirAll(to, 0o777))
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if e.IsDir() {
			export(t, from, name, filepath.Join(to, e.Name()))
			continue
		}
		data, err := disk.ReadFile(from, name)
		require.NoError(t, err)
		require.NoError(t, disk.WriteFileAtomic(disk.OS, filepath.Join(to, e.Name()), data))
	}
}

// stockContents is what tsdb.OpenDBReadOnly shows of a tenant's directory.
func stockContents(t testing.TB, root string) map[string][]Sample {
	t.Helper()
	db, err := tsdb.OpenDBReadOnly(root, t.TempDir(), quietLogger)
	require.NoError(t, err)
	defer db.Close()
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	out := map[string][]Sample{}
	set := q.Select(t.Context(), false, &storage.SelectHints{Start: math.MinInt64, End: math.MaxInt64}, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".*"))
	for set.Next() {
		name, it := set.At().Labels().String(), set.At().Iterator(nil)
		require.NotContains(t, out, name, "Prometheus shows a series twice")
		out[name] = nil
		for it.Next() == chunkenc.ValFloat {
			ts, v := it.At()
			out[name] = append(out[name], Sample{ts, math.Float64bits(v)})
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	return out
}

// logContents reads the records one by one with Prometheus's reader: how many samples the segments hold of each
// series, and which series they and the checkpoint name.
func logContents(t testing.TB, wal string) map[string]int {
	t.Helper()
	names, samples := map[uint64]string{}, map[string]int{}
	dec := promrecord.NewDecoder(labels.NewSymbolTable(), quietLogger)
	read := func(dir string) {
		segments, err := wlog.NewSegmentsReader(dir)
		require.NoError(t, err)
		defer segments.Close()
		for r := wlog.NewReader(segments); r.Next() || noError(t, r.Err()); {
			switch dec.Type(r.Record()) {
			case promrecord.Series:
				series, err := dec.Series(r.Record(), nil)
				require.NoError(t, err)
				for _, s := range series {
					name := s.Labels.String()
					before, known := names[uint64(s.Ref)]
					require.True(t, !known || before == name, "reference %d is %s and %s", s.Ref, before, name)
					names[uint64(s.Ref)] = name
					samples[name] += 0
				}
			case promrecord.Samples:
				list, err := dec.Samples(r.Record(), nil)
				require.NoError(t, err)
				for _, s := range list {
					name, known := names[uint64(s.Ref)]
					require.True(t, known, "a sample of reference %d, which nothing names", s.Ref)
					samples[name]++
				}
			}
		}
	}
	if dir, _, err := wlog.LastCheckpoint(wal); err == nil {
		read(dir)
	}
	read(wal)
	return samples
}

// noError fails the test, or ends a loop.
func noError(t testing.TB, err error) bool {
	require.NoError(t, err)
	return false
}

// checkStock lets Prometheus read the log of a tenant that is not being written to, and compares.
func checkStock(t testing.TB, fsys disk.FS, tenantDir string, want map[string][]Sample) {
	t.Helper()
	root := t.TempDir()
	export(t, fsys, filepath.Join(tenantDir, walDir), filepath.Join(root, walDir))
	inLog := logContents(t, filepath.Join(root, walDir))
	got := stockContents(t, root)
	_, _, err := wlog.LastCheckpoint(filepath.Join(root, walDir))
	whole := err != nil
	require.Len(t, inLog, len(want), "series named by the log")
	for name, samples := range want {
		n, named := inLog[name]
		require.True(t, named, "the log does not name %s", name)
		require.Equal(t, n, len(got[name]), "samples of %s that the log holds, and that Prometheus shows", name)
		require.Equal(t, samples[len(samples)-n:], append([]Sample{}, got[name]...), name)
		require.True(t, !whole || n == len(samples), "%s: the log was never cut and has %d samples of %d", name, n, len(samples))
	}
}

// What Prometheus reads after a kill or a power cut at any operation and the start that follows. In the first case
// the log is never cut, in the second it is cut all the time, and in both writes and syncs fail now and then.
// (C8: no torn end stops it. C9: no series is defined a second time behind its samples. C10: a cut log has all
// names.)
func TestStockReaderAfterCrashes(t *testing.T) {
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("cut=%t", cut), func(t *testing.T) {
			mem, j, rng := faultfs.NewMem(), newJournal(), rand.New(rand.NewPCG(11, 1))
			fsys := faultfs.Inject(mem)
			c := memConfig(t, fsys, func(c *Config) {
				c.SegmentSize = 64 << 10
				if c.Checkpoint = cut; cut {
					c.CheckpointDuration = 20 * time.Millisecond
				}
			})
			var all []snapshot
			synctest.Test(t, func(t *testing.T) {
				e := start(t, c)
				n := 0
				fsys.Add(
					&faultfs.Rule{Kinds: faultfs.Mutations, Before: func(op faultfs.Op) {
						if n++; n%79 == 0 {
							all = append(all, j.killed(mem, op.String()), j.powerCut(mem, e, "t", rng, op.String()))
						}
					}},
					&faultfs.Rule{Kinds: faultfs.Sync, Path: "wal/*", Skip: 9, Times: 1, Err: unix.EIO},
					&faultfs.Rule{Kinds: faultfs.Write, Path: "wal/*", Skip: 100, Times: 1, Err: unix.EIO, Tear: 1000},
				)
				for k := range 150 {
					j.pushAgain(t, e, "t", offers(100+k, k)...)
					time.Sleep(10 * time.Millisecond)
				}
				require.GreaterOrEqual(t, logStats(e).Failures, uint64(2))
				if cut {
					require.Positive(t, logStats(e).FirstSegment, "the log was cut")
				}
			})
			for _, s := range all {
				e := s.check(t, j, c, "t")
				if e.Tenant("t") != nil {
					checkStock(t, s.disk.Kill(), filepath.Join(c.Dir, "t"), contents(t, e, "t"))
				}
				require.NoError(t, e.Close())
			}
		})
	}
}

// A series that comes back with new samples after a restart is not defined again, and one that is new gets a
// reference of its own, so that the log of many lives reads like that of one. (C9, C18)
func TestStockReaderAfterManyLives(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(t, func(c *Config) { c.Dir, c.Checkpoint = dir, false })
	want := map[string][]Sample{}
	for life := range 4 {
		e := start(t, c)
		for k := range 3 {
			var b Batch
			for _, o := range offers(20+10*life, life*10+k) {
				add(&b, o.l, o.s)
				want[o.l.String()] = append(want[o.l.String()], o.s)
			}
			push(t, e, "t", &b)
		}
		require.NoError(t, e.Close())
		checkStock(t, disk.OS, filepath.Join(dir, "t"), want)
	}
	aside, err := disk.OS.ReadDir(filepath.Join(dir, asideDir))
	require.True(t, err != nil || len(aside) == 0, "a clean stop leaves nothing to cut: %v", strings.Join(names(aside), " "))
}

// A tenant whose first process committed nothing begins its log with segment 0 all the same. Stock tools refuse a log
// that begins elsewhere and has no checkpoint.
func TestStockReaderAfterAnEmptyLife(t *testing.T) {
	c := testConfig(t)
	e := start(t, c)
	push(t, e, "t", &Batch{})
	require.NoError(t, e.Close())
	e = start(t, c)
	var b Batch
	add(&b, pod(1), sample(testNow.UnixMilli(), 1))
	push(t, e, "t", &b)
	require.NoError(t, e.Close())
	checkStock(t, disk.OS, filepath.Join(c.Dir, "t"), map[string][]Sample{pod(1).String(): b.Samples})
}

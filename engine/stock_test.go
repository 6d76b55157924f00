package engine

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// checkStock lets Prometheus read the log of a tenant that is not being written to, and compares.
func checkStock(t testing.TB, fsys disk.FS, tenantDir string, want map[string][]Sample) {
	t.Helper()
	require.NoError(t, stockOf(t, fsys, tenantDir).Compare(want))
}

// stockOf lets Prometheus read the log of a tenant.
func stockOf(t testing.TB, fsys disk.FS, tenantDir string) *stockView {
	t.Helper()
	root := t.TempDir()
	export(t, fsys, filepath.Join(tenantDir, walDir), filepath.Join(root, walDir))
	v, err := readStock(root)
	require.NoError(t, err)
	return v
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
				var mu sync.Mutex // hooks run in the goroutine of the operation
				n := 0
				fsys.Add(
					&faultfs.Rule{Kinds: faultfs.Mutations, Before: func(op faultfs.Op) {
						mu.Lock()
						defer mu.Unlock()
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

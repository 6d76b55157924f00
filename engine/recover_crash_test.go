package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
	"github.com/rekindledb/rekindle/ckpt"
)

// A recovery ends at any operation: it is cancelled, the process is killed, the power is cut. Nothing is harmed: whoever
// starts next finds what an undisturbed recovery finds, and the same losses in the ledger, once. The directory is one
// that gives recovery all kinds of work: a torn end, damage in the middle of the log, a damaged image, a checkpoint of
// names, leftovers of a cut, chunks to close again.
func TestRecoveryInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, mem := hardToRecover(t)
		undisturbed := func(fsys *faultfs.Mem) (map[string][]Sample, string) {
			c := c
			c.FS = fsys
			e := start(t, c)
			found := contents(t, e, "t")
			require.NoError(t, e.Close())
			lost := ""
			for _, l := range ledger(t, c) {
				lost += fmt.Sprintln(l.File, l.Reason, l.FirstCommit, l.LastCommit, l.Samples, l.Series, l.Bound)
			}
			return found, lost
		}
		want, lost := undisturbed(mem.Kill())
		require.NotEmpty(t, lost)

		stride := 13
		if underRace {
			stride *= 10
		}
		cancelled := 0
		for n := 0; ; n += stride {
			rng := rand.New(rand.NewPCG(uint64(n), 3))
			one := mem.Kill()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var killed, cut *faultfs.Mem
			here := &faultfs.Rule{Skip: n, Times: 1, Before: func(faultfs.Op) {
				killed, cut = one.Kill(), one.Crash(rng)
				cancel()
			}}
			now := c
			now.FS = faultfs.Inject(one, here)
			e, err := Open(now)
			require.NoError(t, err)
			err = e.Recover(ctx)
			if here.Fired() == 0 {
				require.NoError(t, e.Close())
				break
			}
			if errors.Is(err, context.Canceled) {
				cancelled++
				require.ErrorIs(t, e.Progress().Err, context.Canceled)
				_, err = e.Append(context.Background(), "t", &Batch{})
				require.ErrorIs(t, err, ErrUnavailable)
			} else {
				require.NoError(t, err)
			}
			require.NoError(t, e.Close())
			for name, fsys := range map[string]*faultfs.Mem{"cancelled": one, "killed": killed, "power cut": cut} {
				found, said := undisturbed(fsys)
				require.Equal(t, want, found, "%s at operation %d", name, n)
				require.Equal(t, lost, said, "%s at operation %d", name, n)
			}
		}
		require.Greater(t, cancelled*stride, 65, "of the operations in which recovery can still be cancelled")
	})
}

// hardToRecover is a directory that gives recovery work.
func hardToRecover(t *testing.T) (Config, *faultfs.Mem) {
	mem, j := faultfs.NewMem(), newJournal()
	c := memConfig(t, mem, byHand, func(c *Config) { c.Stripes, c.SegmentSize = 2, 64<<10 })
	e := start(t, c)
	push := func(from, to int) {
		for k := from; k < to; k++ {
			require.NoError(t, j.push(t, e, "t", offers(60+k/10, k)...))
		}
	}
	push(0, 150)
	imageAll(t, e)
	push(150, 200)
	imageAll(t, e)
	require.Positive(t, logStats(e).FirstSegment)
	push(200, 500)
	time.Sleep(time.Second)
	require.NoError(t, e.Tenant("t").store.Publish(ckpt.Update{SyncedThrough: e.Tenant("t").wal.Synced()}))
	push(500, 503)
	s := mem.Kill()
	wal := filepath.Join(c.Dir, "t", walDir)
	entries, err := s.ReadDir(wal)
	require.NoError(t, err)
	segments := slices.DeleteFunc(names(entries), func(name string) bool { return strings.HasPrefix(name, "checkpoint") })
	require.Greater(t, len(segments), 3)
	// A hole in the part that is synced, a torn end, a damaged image, and what a cut left behind.
	zero(t, s, filepath.Join(wal, segments[1]), 32<<10, 4<<10)
	last := filepath.Join(wal, segments[len(segments)-1])
	f, err := s.OpenRW(last)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(fileSize(t, s, last)-7))
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	c.FS = s
	flip(t, s, newestImages(t, c)[0], inImage)
	require.NoError(t, disk.MkdirAllSync(s, filepath.Join(wal, "checkpoint.00000099.tmp"), 0o777))
	require.NoError(t, s.SyncDir("/data/t/chunks"))
	require.NoError(t, e.Close())
	return c, s
}

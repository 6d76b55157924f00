package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
	"github.com/rekindledb/rekindle/ckpt"
)

// byHand: nobody takes images but the test.
func byHand(c *Config) { c.CheckpointDuration, c.RestartTarget = 1000*time.Hour, time.Hour }

// imageAll writes an image of every stripe that has something.
func imageAll(t testing.TB, e *Engine) {
	t.Helper()
	ten := e.Tenant("t")
	var stripes []int
	for i := range ten.stripes {
		if ten.stripes[i].a != nil {
			stripes = append(stripes, i)
		}
	}
	imageStripes(t, e, stripes...)
}

// imageStripes writes images of stripes in place of the tenant's imager, which ends for good: it shares with nobody.
func imageStripes(t testing.TB, e *Engine, stripes ...int) {
	t.Helper()
	ten := e.Tenant("t")
	ten.stop()
	ten.running.Wait()
	require.NoError(t, ten.images.round(context.Background(), stripes))
}

// newestImages are the files of the newest images of tenant t.
func newestImages(t testing.TB, c Config) (files []string) {
	t.Helper()
	dir := filepath.Join(c.Dir, "t")
	store, err := ckpt.Open(ckpt.Config{FS: c.FS, Dir: dir, Logger: quietLogger}, "t")
	require.NoError(t, err)
	defer store.Close()
	for i, entries := range store.Catalogue().Images {
		if len(entries) > 0 && entries[0].Slot != ckpt.SlotNone {
			files = append(files, filepath.Join(dir, "images", fmt.Sprintf("%02d.%s", i, entries[0].Slot)))
		}
	}
	return files
}

// flip changes a bit.
func flip(t testing.TB, fsys disk.FS, name string, off int64) {
	t.Helper()
	f, err := fsys.OpenRW(name)
	require.NoError(t, err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], off)
	require.NoError(t, err)
	b[0] ^= 0x10
	_, err = f.WriteAt(b[:], off)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
}

const inImage = 64<<10 + 4096 + 100 // somewhere in the second extent of a slot

// An image does not reach the disk before the log that it contains. While the log's syncs hang, images are asked for
// and the power is cut at every operation; on what is left a second process stores more for the same series,
// durably; then the newest image of every stripe is damaged. The third process finds all that the second one had:
// if an image had known a series that the log lost, the second process would not have logged its name. (C4)
func TestImageIsNotAheadOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, j := faultfs.NewMem(), newJournal()
		fsys := faultfs.Inject(mem)
		c := memConfig(t, fsys, func(c *Config) { c.CheckpointDuration = time.Millisecond })
		e := start(t, c)
		require.NoError(t, j.push(t, e, "t", offers(4, 0)...))
		time.Sleep(time.Second)
		disks := newAlbum(j, mem, e, 3)
		fsys.Add(&faultfs.Rule{Kinds: faultfs.Sync, Path: "wal/*", Delay: 5 * time.Second}, disks.rule())
		for k := 1; k < 4; k++ {
			require.NoError(t, j.push(t, e, "t", offers(4+10*k, k)...)) // with new series
			time.Sleep(20 * time.Second)
		}
		later := c
		later.Checkpoint = false
		for _, s := range disks.done() {
			second := s.check(t, j, later, "t")
			j2 := newJournal()
			j2.settle(contents(t, second, "t"))
			require.NoError(t, j2.push(t, second, "t", offers(40, 10)...))
			require.NoError(t, second.Close())
			s2 := j2.killed(s.disk, "the end of the second process, after a "+s.when)
			later.FS = s2.disk
			for _, name := range newestImages(t, later) {
				flip(t, s2.disk, name, inImage)
			}
			require.NoError(t, s2.check(t, j2, later, "t").Close())
		}
	})
}

// The image of commit c holds the commits up to c, exactly. Images are taken all the time while four writers write;
// the process is killed all along. What images and log give together is what the whole log gives alone; nothing was
// applied a second time, which snapshot.check looks at, and nothing left out. (C5)
func TestImageIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, j := faultfs.NewMem(), newJournal()
		fsys := faultfs.Inject(mem)
		c := memConfig(t, fsys, func(c *Config) { c.CheckpointDuration, c.Stripes = time.Millisecond, 2 })
		e := start(t, c)
		disks := newAlbum(j, mem, e, 23)
		disks.kills = true
		fsys.Add(
			// So that writers come between two commits, and images with them.
			&faultfs.Rule{Kinds: faultfs.Write, Path: "wal/*", Delay: 3 * time.Millisecond},
			disks.rule(),
		)
		done := make(chan bool)
		for w := range 4 {
			go func() {
				for k := range 160 {
					mine := offers(10+k/10, k)
					for i := range mine {
						mine[i].l = pod(1000*w + i)
					}
					require.NoError(t, j.push(t, e, "t", mine...))
					time.Sleep(time.Duration(1+w) * time.Millisecond)
				}
				done <- true
			}()
		}
		for range 4 {
			<-done
		}
		require.NotEmpty(t, disks.done())
		var st Stats
		e.Tenant("t").Stats(&st)
		require.Zero(t, st.Images.Broken+int(st.Images.Failed), "%+v", st.Images)
		images := 0
		for _, s := range disks.done() {
			log := s
			log.disk = s.disk.Kill()
			require.NoError(t, log.disk.RemoveAll("/data/t/images"))
			both, alone := s.check(t, j, c, "t"), log.check(t, j, c, "t")
			require.Equal(t, contents(t, alone, "t"), contents(t, both, "t"), s.when)
			if both.Tenant("t").recovered.ImageBytes > 0 {
				images++
			}
			require.NoError(t, both.Close())
			require.NoError(t, alone.Close())
		}
		require.NotZero(t, images)
	})
}

// chunkBytes is what the chunk files of tenant t hold.
func chunkBytes(t testing.TB, c Config) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	dir := filepath.Join(c.Dir, "t", chunksDir)
	entries, err := c.FS.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		out[e.Name()], err = disk.ReadFile(c.FS, filepath.Join(dir, e.Name()))
		require.NoError(t, err)
	}
	return out
}

// The newest images cannot be read once, and then they can again. The start in between goes on from the older ones
// and closes the chunks of the tail anew, in files of its own: not a byte of the files that the newer images name is
// changed before the next images are published. All starts find everything. (C12)
func TestNewestImageUnreadableOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, j := faultfs.NewMem(), newJournal()
		c := memConfig(t, mem, byHand, func(c *Config) { c.Stripes = 2 })
		e := start(t, c)
		k := 0
		more := func() {
			for range 150 {
				require.NoError(t, j.push(t, e, "t", offers(10, k)...))
				k++
			}
		}
		for range 3 {
			more()
			imageAll(t, e)
		}
		more()
		require.NoError(t, e.Tenant("t").flushChunks())
		first := j.killed(mem, "the end")

		for _, again := range []string{"killed before the next images", "killed after the next images"} {
			s := first
			s.disk = first.disk.Kill()
			c.FS = s.disk
			var faults []*faultfs.Rule
			for _, name := range newestImages(t, c) {
				faults = append(faults, &faultfs.Rule{Kinds: faultfs.Read, Path: "images/" + filepath.Base(name), Times: 1, Err: unix.EIO})
			}
			require.Len(t, faults, 2)
			before := chunkBytes(t, c)
			require.NotEmpty(t, before)

			second := start(t, func() Config { c := c; c.FS = faultfs.Inject(s.disk, faults...); return c }())
			j.judge(t, contents(t, second, "t"), s.p)
			require.Equal(t, int64(2), second.Tenant("t").recovered.ImagesDamaged)
			require.NoError(t, second.Tenant("t").flushChunks())
			after := chunkBytes(t, c)
			for name, b := range before {
				require.Equal(t, b, after[name], "chunk file %s changed", name)
			}
			require.Greater(t, len(after), len(before), "the tail's chunks went to new files")
			if again == "killed after the next images" {
				imageAll(t, second)
				require.Less(t, len(chunkBytes(t, c)), len(after), "files that no image names are dropped")
				j.judge(t, contents(t, second, "t"), s.p)
			}
			s.disk, s.when = s.disk.Kill(), again
			require.NoError(t, s.check(t, j, c, "t").Close())
		}
	})
}

// An idle stripe does not keep the log for ever: once one more image of it is there, its images move on without
// being written, and the log is cut. Its series are there after a kill. (C15)
func TestIdleStripesDoNotKeepTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, j := faultfs.NewMem(), newJournal()
		c := memConfig(t, mem, func(c *Config) { c.CheckpointDuration, c.SegmentSize = time.Second, 64<<10 })
		e := start(t, c)
		for k := range 20 {
			require.NoError(t, j.push(t, e, "t", offers(40, k)...))
			time.Sleep(300 * time.Millisecond)
		}
		busy := offers(1, 0)[0].l
		for k := 20; k < 4000; k++ {
			require.NoError(t, j.push(t, e, "t", offer{l: busy, s: sample(testNow.UnixMilli()+int64(k)*15_000, float64(k))}))
			time.Sleep(10 * time.Millisecond)
		}
		require.Positive(t, logStats(e).FirstSegment, "the log was cut")
		require.NoError(t, j.killed(mem, "the end").check(t, j, c, "t").Close())
	})
}

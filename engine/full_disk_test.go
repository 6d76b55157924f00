package engine

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// The disk runs full at any moment: after so many bytes, or from the n-th operation that needs room on. Pushes are
// refused as unavailable, and as nothing else; queries go on; a process that is killed then starts on the full disk and has
// everything that was acknowledged; when there is room again everything resumes by itself, images and the cutting of the
// log included.
func TestDiskFullAtAnyMoment(t *testing.T) {
	needsRoom := faultfs.Write | faultfs.Create | faultfs.Allocate | faultfs.MkdirAll | faultfs.Rename | faultfs.Link
	var cases []func(*faultfs.Mem, *faultfs.Faults) (name string, room func())
	for _, kib := range []int64{0, 20, 150, 700, 2000, 4000} {
		cases = append(cases, func(mem *faultfs.Mem, _ *faultfs.Faults) (string, func()) {
			mem.SetCapacity(kib << 10)
			return fmt.Sprintf("after %d KiB", kib), func() { mem.SetCapacity(-1) }
		})
	}
	for n := 0; n < 150; n += 27 {
		cases = append(cases, func(_ *faultfs.Mem, fsys *faultfs.Faults) (string, func()) {
			full := &faultfs.Rule{Kinds: needsRoom, Skip: n, Err: unix.ENOSPC, Tear: 999}
			fsys.Add(full)
			return fmt.Sprintf("from operation %d on", n), full.Clear
		})
	}
	if underRace {
		cases = cases[:5]
	}
	refusals := 0
	for _, begin := range cases {
		synctest.Test(t, func(t *testing.T) {
			mem, j := faultfs.NewMem(), newJournal()
			fsys := faultfs.Inject(mem)
			c := memConfig(t, fsys, func(c *Config) { c.CheckpointDuration, c.SegmentSize = 300*time.Millisecond, 64<<10 })
			e := start(t, c)
			name, room := begin(mem, fsys)
			defer func() {
				if t.Failed() {
					t.Log(name)
				}
			}()
			var kills []snapshot
			for k := range 150 { // chunks are closed
				err := j.push(t, e, "t", offers(40+k, k)...)
				if require.True(t, err == nil || errors.Is(err, ErrUnavailable), "%v", err); err != nil {
					if refusals++; refusals%37 == 0 {
						kills = append(kills, j.killed(mem, "a refusal"))
					}
				}
				if k%25 == 0 {
					contents(t, e, "t")
				}
				time.Sleep(100 * time.Millisecond)
			}
			room()
			cut := 0
			for k := range 60 {
				j.pushAgain(t, e, "t", offers(200, 200+k)...)
				time.Sleep(100 * time.Millisecond)
				cut = max(cut, logStats(e).FirstSegment)
			}
			require.Positive(t, cut, "images are taken and the log is cut again")
			for _, s := range append(kills, j.killed(mem, "the end")) {
				_ = s.check(t, j, c, "t").Close() // which has no room for images
			}
			require.NoError(t, e.Close())
			s := j.killed(mem, "the clean stop")
			require.NoError(t, s.check(t, j, c, "t").Close())
		})
	}
	require.Greater(t, refusals, 300)
}

// A start with not a byte free: images are loaded, a long tail is replayed, the chunks that it closes stay in memory, and
// everything is answered. Pushes are refused until there is room, and then all goes on. A damaged log does not change
// that: what can be repaired later is.
func TestStartOnAFullDisk(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			mem, j := faultfs.NewMem(), newJournal()
			c := memConfig(t, mem, byHand, func(c *Config) { c.Stripes = 1 })
			e := start(t, c)
			k := 0
			more := func(e *Engine, rounds int) {
				for range rounds {
					x := offers(600, k)
					for i := range x {
						x[i].s.V = xxhash.Sum64String(fmt.Sprint(k, i)) >> 2 // hard to compress: more than a MiB of chunks
					}
					require.NoError(t, j.push(t, e, "t", x...))
					k++
				}
			}
			more(e, 10)
			imageAll(t, e)
			end := fileSize(t, mem, segment0)
			more(e, 240)
			time.Sleep(time.Second)
			more(e, 1) // says that all before is synced
			s := j.killed(mem, "the end")
			if damaged {
				zero(t, s.disk, segment0, (end/(32<<10)+2)*(32<<10), 4<<10)
			}
			s.disk.SetCapacity(0)
			c.FS = s.disk
			for range 3 { // it changes nothing: again and again
				e = start(t, c)
				found := contents(t, e, "t")
				if damaged {
					require.Positive(t, e.Tenant("t").recovered.Losses)
					require.Greater(t, count(found), 600*200)
				} else {
					j.judge(t, found, s.p)
				}
				require.ErrorIs(t, j.push(t, e, "t", offers(60, 1000)...), ErrUnavailable)
				require.ErrorIs(t, j.push(t, e, "new", offers(60, 1000)...), ErrUnavailable)
				time.Sleep(time.Minute)
				require.Equal(t, count(found), count(contents(t, e, "t"))-60, "what was refused may be shown")
				c.FS = c.FS.(*faultfs.Mem).Kill()
			}
			c.FS.(*faultfs.Mem).SetCapacity(-1)
			e = start(t, c)
			found := contents(t, e, "t")
			j.settle(found)
			j.pushAgain(t, e, "t", offers(60, 1000)...)
			require.NoError(t, j.push(t, e, "new", offers(60, 1000)...))
			want := contents(t, e, "t")
			require.NoError(t, e.Close())
			e = start(t, c)
			require.Equal(t, want, contents(t, e, "t"))
			require.Zero(t, e.Tenant("t").recovered.Losses)
		})
	}
}

// Somebody removed the log because the disk was full, and it still is: the process starts from its images all the same.
// They know more than the log, so they are written again, to both slots, as soon as there is room: after that one
// damaged byte costs nothing.
func TestLogRemovedOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, j := faultfs.NewMem(), newJournal()
		c := memConfig(t, mem, func(c *Config) { c.CheckpointDuration, c.RestartTarget = time.Minute, time.Hour })
		e := start(t, c)
		for k := range 4 {
			require.NoError(t, j.push(t, e, "t", offers(50+k, k)...))
			time.Sleep(90 * time.Second) // the newest images have series that the older ones do not
		}
		s := j.killed(mem, "the end")
		require.NoError(t, s.disk.RemoveAll("/data/t/wal"))
		s.disk.SetCapacity(0)
		c.FS = s.disk
		second := start(t, c)
		j.judge(t, contents(t, second, "t"), s.p)
		require.Positive(t, second.Tenant("t").recovered.ImagesAhead)
		require.ErrorIs(t, j.push(t, second, "t", offers(50, 10)[:1]...), ErrUnavailable)
		s.disk.SetCapacity(-1)
		j.pushAgain(t, second, "t", offers(60, 10)[:1]...)
		time.Sleep(10 * time.Minute)
		s = j.killed(s.disk, "the second process")
		c.FS = s.disk
		for _, name := range newestImages(t, c) {
			flip(t, s.disk, name, inImage)
		}
		third := start(t, c)
		j.judge(t, contents(t, third, "t"), s.p)
		require.Zero(t, third.Tenant("t").recovered.Losses)
	})
}

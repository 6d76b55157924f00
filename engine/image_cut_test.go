package engine

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// The names that a cut writes take the time that the pace gives them, and none as soon as somebody waits or images are
// late. A stop ends it.
func TestCutIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		ten := &Tenant{e: &Engine{cfg: Config{crash: func(string) {}}}, ctx: ctx, images: &imager{}}
		c := &ten.images.cutting
		c.slowly(30<<20, 10*time.Second) // 1 MiB/s
		took := func(n int) float64 {
			begun := time.Now()
			require.NoError(t, ten.paceCheckpoint(n))
			return time.Since(begun).Seconds()
		}
		require.InDelta(t, 10, took(10<<20), 0.1)
		time.AfterFunc(3*time.Second, func() { c.hurry.Store(true) })
		require.InDelta(t, 3, took(10<<20), 0.1)
		require.Zero(t, took(10<<20))
		c.hurry.Store(false)
		time.AfterFunc(3*time.Second, func() { ten.images.waiting.Add(1) })
		require.InDelta(t, 3, took(10<<20), 0.1)
		ten.images.waiting.Store(0)
		time.AfterFunc(3*time.Second, stop)
		require.ErrorIs(t, ten.paceCheckpoint(10<<20), context.Canceled)
	})
}

// Images go on, and the log can be looked at, while a cut writes its checkpoint; the next one comes after it. A stop
// interrupts it, and the next start cuts.
func TestCutBesideImages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const duration, series = 80 * time.Second, 600
		mem, j := faultfs.NewMem(), newJournal()
		c := memConfig(t, mem, func(c *Config) {
			c.CheckpointDuration, c.RestartTarget, c.Stripes, c.SegmentSize = duration, time.Hour, 4, 64<<10
		})
		writing := make(chan struct{})
		var began atomic.Int64
		c.crash = func(point string) {
			if point == "cutting" {
				began.Add(1)
				<-writing
			}
		}
		e := start(t, c)
		k := 0
		run := func(seconds int) (st Stats) {
			for range seconds {
				k++
				require.NoError(t, j.push(t, e, "t", offers(series, k)...))
				time.Sleep(time.Second)
			}
			e.Tenant("t").Stats(&st)
			return st
		}
		for i := 0; began.Load() == 0; i++ {
			require.Less(t, i, 400)
			run(1)
		}
		before := run(1)
		after := run(200)
		require.GreaterOrEqual(t, after.Images.Images, before.Images.Images+200/80*4)
		require.Zero(t, after.Log.FirstSegment)
		require.EqualValues(t, 1, began.Load())
		close(writing)
		after = run(80)
		require.Positive(t, after.Log.FirstSegment)
		require.EqualValues(t, series, after.Log.CheckpointSeries)
		require.Zero(t, after.Images.Failed)
		require.NoError(t, e.Close())

		writing = make(chan struct{})
		close(writing)
		e = start(t, c)
		last := run(200)
		require.Greater(t, last.Log.FirstSegment, after.Log.FirstSegment)
		j.judge(t, contents(t, e, "t"), j.promised(math.MaxUint64))
		require.NoError(t, e.Close())
	})
}

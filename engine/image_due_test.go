package engine

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// All stripes are imaged together, and from then on for their age alone: one after another, in equal distances, and each
// at least once in the checkpoint duration.
func TestImagesAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const duration = 80 * time.Second
		mem, j := faultfs.NewMem(), newJournal()
		c := memConfig(t, mem, func(c *Config) { c.CheckpointDuration, c.RestartTarget, c.Stripes = duration, time.Hour, 8 })
		var mu sync.Mutex
		var at []time.Time
		c.crash = func(point string) {
			if point == "published" {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Now())
			}
		}
		e := start(t, c)
		push := func(k int) { require.NoError(t, j.push(t, e, "t", offers(200, k)...)) }
		push(0)
		require.NoError(t, e.Checkpoint(t.Context()))
		at = nil
		for k := range 400 {
			push(k + 1)
			time.Sleep(time.Second)
		}
		mu.Lock()
		defer mu.Unlock()
		require.InDelta(t, 400/80*8, len(at), 5)
		for i := 1; i < len(at); i++ {
			require.Greater(t, at[i].Sub(at[i-1]), duration/8/2, "rounds %d and %d", i-1, i)
		}
		for i := range e.Tenant("t").stripes {
			require.Less(t, e.Tenant("t").stripes[i].imageAge(), duration+duration/8)
		}
	})
}

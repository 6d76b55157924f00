package engine

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// Every start is ended after so little of the log that none would ever become ready: the process is killed, or the
// power goes. From the third start in a row on each gets further than the one before, and in the end one is ready, with
// everything there, once, and the count of failed starts begins anew. (The count itself need not survive a power cut.)
func TestStartsThatFailInARow(t *testing.T) {
	for name, ends := range map[string]func(*faultfs.Mem, *rand.Rand) *faultfs.Mem{
		"killed":    func(m *faultfs.Mem, _ *rand.Rand) *faultfs.Mem { return m.Kill() },
		"power cut": func(m *faultfs.Mem, rng *rand.Rand) *faultfs.Mem { return m.Crash(rng) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem, j := faultfs.NewMem(), newJournal()
				c := memConfig(t, mem, byHand, func(c *Config) { c.Stripes, c.SegmentSize = 2, 64<<10 })
				e := start(t, c)
				for k := range 2500 {
					require.NoError(t, j.push(t, e, "t", offers(60+k/100, k)...))
				}
				require.NoError(t, e.Tenant("t").wal.Sync(t.Context()))
				want := contents(t, e, "t")
				rng := rand.New(rand.NewPCG(1, 1))
				now := ends(mem, rng)
				entries := e.Tenant("t").logged.Load()
				require.NoError(t, e.Close())

				var read []int64 // of the log, by starts that failed
				for lives := 1; ; lives++ {
					require.Less(t, lives, 60)
					left := now
					c.FS = left
					if name == "power cut" {
						require.NoError(t, (&directory{fs: left, path: c.Dir}).writeStarts(startFile{Failed: lives - 1}))
					}
					ctx, cancel := context.WithCancel(t.Context())
					fatal, at, reached := "replay", int32(1), atomic.Int32{}
					if lives >= 3 {
						fatal, at = "settled", 3 // one stripe is ahead of the other
					}
					c.crash = func(point string) {
						if point == fatal && reached.Add(1) == at {
							now = ends(left, rng)
							cancel()
						}
					}
					e, err := Open(c)
					require.NoError(t, err)
					err = e.Recover(ctx)
					cancel()
					require.Equal(t, lives-1, e.FailedStarts())
					if err == nil {
						require.Greater(t, lives, 5, "the log is too short to show anything")
						require.Less(t, e.Tenant("t").recovered.Entries, entries/4)
						require.Equal(t, want, contents(t, e, "t"))
						require.NoError(t, e.Close())
						break
					}
					require.ErrorIs(t, err, context.Canceled)
					read = append(read, e.Progress().Total)
					require.NoError(t, e.Close())
				}
				// Bytes of log that each of them found; the framing of segments is in some of the figures.
				require.InEpsilon(t, read[0], read[1], 0.01, "the first starts leave nothing behind")
				require.InEpsilon(t, read[1], read[2], 0.01)
				for i := 4; i < len(read); i++ {
					require.Less(t, read[i], read[i-1], "start %d", i+1)
				}
				c.crash = nil
				e = start(t, c)
				require.Zero(t, e.FailedStarts())
				require.Equal(t, want, contents(t, e, "t"))
			})
		})
	}
}

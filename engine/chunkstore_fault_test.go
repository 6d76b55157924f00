package engine

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// What a sync of chunk files calls durable survives a power cut, whatever failed on the way to it: the sync of
// the file, writing it again, the sync of its directory. A sync that succeeds after one that failed proves nothing.
func TestChunkSyncAfterFailures(t *testing.T) {
	for name, rules := range map[string][]*faultfs.Rule{
		"file":              {{Kinds: faultfs.Sync, Times: 1, Err: unix.EIO}},
		"file, then write":  {{Kinds: faultfs.Sync, Times: 1, Err: unix.EIO}, {Kinds: faultfs.Write, Skip: 1, Times: 1, Err: unix.EIO}},
		"directory":         {{Kinds: faultfs.SyncDir, Times: 1, Err: unix.EIO}},
		"directory, thrice": {{Kinds: faultfs.SyncDir, Times: 3, Err: unix.EIO}},
	} {
		t.Run(name, func(t *testing.T) {
			mem := faultfs.NewMem()
			require.NoError(t, disk.MkdirAllSync(mem, "/chunks", 0o755))
			var mu sync.Mutex
			c := newChunkStore(faultfs.Inject(mem, rules...), "/chunks", 0, 1)
			l := c.add(&root{nextFile: 1}, chunkHead{ref: 64, encoding: kindXOR}, []byte{0, 1, 2, 3, 4})
			require.ErrorIs(t, c.sync(&mu), unix.EIO)
			for c.sync(&mu) != nil {
			}
			for seed := range uint64(20) {
				after := newChunkStore(mem.Crash(rand.New(rand.NewPCG(seed, 1))), "/chunks", 0, 1)
				require.NoError(t, after.adopt("/chunks", c.lengths()))
				_, data, err := after.read(l, 64, nil)
				require.NoError(t, err)
				require.Equal(t, []byte{0, 1, 2, 3, 4}, data)
				require.NoError(t, after.close())
			}
			require.NoError(t, c.close())
		})
	}
}

// A chunk file that cannot be opened at a start is there for the next one: queries that need it fail
// meanwhile, and no image forgets it.
func TestChunkFileThatCannotBeOpenedOnce(t *testing.T) {
	c := testConfig(t, func(c *Config) { c.Stripes = 1 })
	e := start(t, c)
	now := testNow.UnixMilli()
	fill := func(from int64) {
		for k := range int64(200) {
			var b Batch
			add(&b, pod(1), sample(now+(from+k)*15_000, float64(k)))
			push(t, e, "t", &b)
		}
	}
	fill(0)
	want := contents(t, e, "t")
	require.NoError(t, e.Close())

	healthy := c.FS
	c.FS = faultfs.Inject(disk.OS, &faultfs.Rule{Kinds: faultfs.Open, Path: "chunks/*", Err: unix.EMFILE})
	e = start(t, c)
	_, err := e.Tenant("t").Select(t.Context(), now, now+1)
	require.Error(t, err)
	fill(200)
	imageStripes(t, e, 0)
	require.NoError(t, e.Close())

	c.FS = healthy
	e = start(t, c)
	got := contents(t, e, "t")[pod(1).String()]
	require.Len(t, got, 400)
	require.Equal(t, want[pod(1).String()], got[:200])
	require.NoError(t, e.Close())
}

package engine

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// A stripe that has written chunk files for days keeps few of them open or mapped, however many are read, and none
// is longer than what was written to it once it is done with. All chunks are read all the time, by several readers,
// while files are written, retired and unmapped; and from the same directory by a later process.
func TestFewChunkFilesAreHeld(t *testing.T) {
	const ranges = 3 * maxMapped
	var open, mapped, mostOpen, mostMapped atomic.Int64
	count := func(n, most *atomic.Int64, kind faultfs.Kind, by int64) *faultfs.Rule {
		return &faultfs.Rule{Kinds: kind, Before: func(faultfs.Op) {
			raiseTo(most, n.Add(by))
		}}
	}
	fsys := faultfs.Inject(faultfs.NewMem(),
		count(&open, &mostOpen, faultfs.Open|faultfs.OpenRW|faultfs.Create, 1), count(&open, &mostOpen, faultfs.Close, -1),
		count(&mapped, &mostMapped, faultfs.Map, 1), count(&mapped, &mostMapped, faultfs.Unmap, -1))
	require.NoError(t, disk.MkdirAllSync(fsys, "/chunks", 0o755))
	var (
		mu    sync.Mutex
		links []link
		r     = &root{nextFile: 1}
		c     = newChunkStore(fsys, "/chunks", 0, 1)
	)
	readAll := func(c *chunkStore) {
		mu.Lock()
		links := links
		mu.Unlock()
		for i, l := range links {
			if c.written(l) {
				_, data, err := c.read(l, uint64(i), nil)
				assert.NoError(t, err)
				assert.Equal(t, fmt.Sprint("chunk ", i), string(data))
			}
		}
	}
	const readers = 2
	var reading sync.WaitGroup
	stop := make(chan struct{})
	for range readers {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					readAll(c)
				}
			}
		})
	}
	for rng := range int64(ranges) {
		for range 3 {
			mu.Lock()
			i := len(links)
			links = append(links, c.add(r, chunkHead{ref: uint64(i), minT: rng * blockRange, maxT: rng * blockRange, encoding: kindXOR}, []byte(fmt.Sprint("chunk ", i))))
			mu.Unlock()
			require.NoError(t, c.flush(&mu))
		}
		require.NoError(t, c.sync(&mu))
	}
	close(stop)
	reading.Wait()
	named := c.lengths()
	require.Len(t, named, ranges)
	require.NoError(t, c.close())
	for id, length := range named {
		info, err := fsys.Stat(filepath.Join("/chunks", chunkFileName(0, id)))
		require.NoError(t, err)
		require.Equal(t, length, info.Size())
	}

	later := newChunkStore(fsys, "/chunks", 0, 1)
	require.NoError(t, later.adopt("/chunks", named))
	readAll(later)
	require.NoError(t, later.close())

	require.Zero(t, open.Load())
	require.LessOrEqual(t, mostOpen.Load(), int64(maxWriters+1+readers))
	require.Zero(t, mapped.Load())
	require.LessOrEqual(t, mostMapped.Load(), int64(maxMapped+2*readers))
}

// A file is allocated in steps that are no larger than what it has, and not in many of them.
func TestAllocation(t *testing.T) {
	steps, before := 0, int64(0)
	for size := int64(64); size < 16<<20; size += 64 {
		a := allocation(size)
		require.GreaterOrEqual(t, a, size)
		require.LessOrEqual(t, a, max(chunkAllocMin, min(2*size, size+chunkAllocMax)))
		if a != before {
			steps, before = steps+1, a
		}
	}
	require.Equal(t, 5+15, steps)
}

package engine

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// Timestamps at the edge of what can be told apart from none, or subtracted from, are refused, and the tenant
// goes on; the earliest one that is stored is there after a restart.
func TestEarliestTimestamps(t *testing.T) {
	for _, first := range []int64{math.MinInt64, math.MinInt64 + 1, earliest - 1, earliest} {
		c := testConfig(t, func(c *Config) { c.Checkpoint = false })
		e := start(t, c)
		var b Batch
		add(&b, pod(1), sample(first, 1))
		_, err := e.Append(t.Context(), "t", &b)
		var refused *SampleError
		require.Equal(t, first < earliest, errors.As(err, &refused), "%d: %v", first, err)
		b.Reset()
		add(&b, pod(1), sample(testNow.UnixMilli(), 1))
		push(t, e, "t", &b)
		want := contents(t, e, "t")
		require.NoError(t, e.Close())
		e = start(t, c)
		require.Equal(t, want, contents(t, e, "t"))
		require.NoError(t, e.Close())
	}
}

// A request is not refused for the room that its samples might take if they did not share chunks: no answer
// but success would ever come of sending it again.
func TestManySamplesOfOneSeries(t *testing.T) {
	const samples = 5_800_000 // as many as fit into the largest request
	require.Less(t, chunkRoom(1, samples), uint64(1<<20))
	e := start(t, testConfig(t, func(c *Config) { c.Stripes, c.WAL = 1, false }))
	all := make([]Sample, 50_000)
	for i := range all {
		all[i] = sample(testNow.UnixMilli()+int64(i), float64(i))
	}
	var b Batch
	add(&b, pod(1), all...)
	require.Equal(t, len(all), push(t, e, "t", &b).Stored)
	require.Equal(t, all, contents(t, e, "t")[pod(1).String()])
	require.NoError(t, e.Close())
}

// Closed chunks that cannot be written stay in memory, so that pushes are refused before it runs out; without a
// log too. They are accepted again when the disk works.
func TestStuckDiskWithoutLog(t *testing.T) {
	full := &faultfs.Rule{Kinds: faultfs.Allocate | faultfs.Write, Path: "chunks/*", Err: unix.ENOSPC}
	c := testConfig(t, func(c *Config) {
		c.WAL, c.Stripes, c.MaxPendingBytes = false, 1, 4<<10
		c.FS = faultfs.Inject(disk.OS, full)
	})
	e := start(t, c)
	var err error
	for k := range 10_000 {
		var b Batch
		add(&b, pod(1), sample(testNow.UnixMilli()+int64(k), rand.Float64()))
		if _, err = e.Append(t.Context(), "t", &b); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, ErrUnavailable)
	full.Clear()
	require.NoError(t, e.Tenant("t").flushChunks())
	var b Batch
	add(&b, pod(2), sample(testNow.UnixMilli(), 1))
	push(t, e, "t", &b)
	require.NoError(t, e.Close())
}

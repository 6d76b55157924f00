package engine

import (
	"fmt"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// A series' newest closed chunk is in its file while the one before it, of another range, is still in memory
// because its file cannot be written. Every sample is answered all the same.
func TestSelectWhenAnOlderChunkIsNotWrittenYet(t *testing.T) {
	broken := &faultfs.Rule{Kinds: faultfs.Write, Path: "chunks/00-000002", Err: unix.EIO}
	c := testConfig(t, func(c *Config) { c.FS, c.Stripes = faultfs.Inject(disk.OS, broken), 1 })
	e := start(t, c)
	defer func() { require.NoError(t, e.Close()) }()

	boundary := (rangeOf(testNow.UnixMilli()) + 1) * blockRange
	var b Batch
	samples := func(from int64) (out []Sample) {
		for i := range int64(2 * maxSamplesPerChunk) {
			out = append(out, sample(from+i*1000, float64(i)))
		}
		return out
	}
	// The first series begins the file of the later range, 1; the other one that of the earlier range, 2.
	add(&b, labels.FromStrings(model.MetricNameLabel, "late"), samples(boundary)...)
	crossing := samples(boundary - maxSamplesPerChunk*1000/2)
	crossing = append(crossing, samples(crossing[len(crossing)-1].T+1000)...)
	add(&b, labels.FromStrings(model.MetricNameLabel, "crossing"), crossing...)
	push(t, e, "t", &b)

	require.ErrorIs(t, e.Tenant("t").flushChunks(), unix.EIO)
	require.Equal(t, crossing, contents(t, e, "t")[labels.FromStrings(model.MetricNameLabel, "crossing").String()])
	broken.Clear()
	require.NoError(t, e.Tenant("t").flushChunks())
	require.Equal(t, crossing, contents(t, e, "t")[labels.FromStrings(model.MetricNameLabel, "crossing").String()])
}

// A chunk whose link leads to itself, to another series' chunk or to where no chunk begins fails the queries that need
// it, in memory and in its file; the error says which series and where. Nobody waits for an end that never comes, and
// the newest sample, and other series, are answered.
func TestSelectWithWrongLinks(t *testing.T) {
	const first = fileHeadSize
	behind := int64(first + chunkHeadSize + 8) // the second chunk of the file
	now := testNow.UnixMilli()
	for name, tc := range map[string]struct {
		ref   uint64
		prev  int64
		at    int64
		wrong string
	}{
		"itself":         {1, behind, behind, "must end before"},
		"no chunk there": {1, first + 8, first + 8, "chunk"},
		"another series": {2, first, first, "belongs to series 2"},
	} {
		for _, flushed := range []bool{false, true} {
			c := testConfig(t, func(c *Config) { c.Stripes = 1 })
			e := start(t, c)
			var b Batch
			add(&b, pod(1), sample(now, 1))
			add(&b, pod(2), sample(now, 1))
			push(t, e, "t", &b)
			s := &e.Tenant("t").stripes[0]
			s.mu.Lock()
			data := make([]byte, 8)
			s.chunks.add(s.root, chunkHead{ref: tc.ref, minT: now - 1000, maxT: now - 900, encoding: kindXOR}, data)
			s.record(1).link = s.chunks.add(s.root, chunkHead{ref: 1, minT: now - 500, maxT: now - 400, prev: makeLink(1, tc.prev), encoding: kindXOR}, data)
			s.mu.Unlock()
			if flushed {
				require.NoError(t, e.Tenant("t").flushChunks())
			}
			_, err := e.Tenant("t").Select(t.Context(), 0, now)
			require.ErrorContains(t, err, tc.wrong, name)
			require.ErrorContains(t, err, fmt.Sprintf("00-000001 at offset %d", tc.at), name)
			require.ErrorContains(t, err, pod(1).String(), name)
			list, err := e.Tenant("t").Select(t.Context(), now-450, now)
			require.NoError(t, err, name)
			require.Len(t, list, 2, name)
			list, err = e.Tenant("t").Select(t.Context(), 0, now, labels.MustNewMatcher(labels.MatchNotEqual, "pod", "pod-1"))
			require.NoError(t, err, name)
			require.Len(t, list, 1, name)
			add(&b, pod(1), sample(now+1, 1))
			push(t, e, "t", &b)
			require.NoError(t, e.Close())
		}
	}
}

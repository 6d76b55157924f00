package engine

import (
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

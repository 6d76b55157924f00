package engine

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena"
)

// A buffer of pending entries that a burst made large is given back by a later commit that leaves most of it empty,
// and none before: nothing that was pending is lost on the way.
func TestPendingBufferIsGivenBack(t *testing.T) {
	s, _ := freshStripe(t, 256<<20)
	bd := bounds{minT: math.MinInt64, maxT: math.MaxInt64}
	put := func(from, n int) {
		var b Batch
		samples := make([]Sample, n)
		for i := range samples {
			samples[i] = sample(int64(from+i), 1)
		}
		add(&b, pod(1), samples...)
		require.NoError(t, s.appendAlone(&b, bd, &outcome{}))
	}
	put(0, 3*pendingKeep)
	require.Len(t, s.takePending(nil, 1), 3*pendingKeep+1) // and the series
	burst := s.a.Used(arena.Pending)
	require.GreaterOrEqual(t, burst, uint64(3*pendingKeep*entrySize))
	put(3*pendingKeep, 10)
	require.Len(t, s.takePending(nil, 2), 10)
	require.Zero(t, s.a.Used(arena.Pending))
	require.NoError(t, s.walk())
	put(3*pendingKeep+10, 10)
	require.Len(t, s.takePending(nil, 3), 10)
	require.Less(t, s.a.Used(arena.Pending), burst/8)
	require.NoError(t, s.walk())
}

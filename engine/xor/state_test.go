package xor

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The state of the most bits that so many samples can take is valid, and one bit more is not: so a chunk that is
// closed at a number of samples fits into a buffer known beforehand, whatever its state was loaded from.
func TestValidIsTight(t *testing.T) {
	const size = 4096
	b := make([]byte, size)
	var s State
	Start(&s)
	require.True(t, s.Valid(size))
	values := [...]uint64{1 << 63, 1<<63 | 1, 1}
	ts, v := int64(math.MinInt64), uint64(0)
	for n := range 120 {
		require.True(t, Append(b, &s, ts, v))
		require.True(t, s.Valid(size), "%d samples", n+1)
		ts += math.MaxInt64 - int64(n*n)<<30
		v ^= values[n%3]
	}
	s.Bits = headerBytes*8 + firstTwoExtra + 120*maxNextBits
	require.True(t, s.Valid(size))
	s.Bits++
	require.False(t, s.Valid(size))
}

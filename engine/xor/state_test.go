package xor

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The state of the most bits that so many samples can take is valid, and one bit more is not: so a chunk that is
// closed at a number of samples takes no more blocks than are known beforehand, whatever its state was loaded from.
func TestValidIsTight(t *testing.T) {
	c := newChain(0xff)
	require.True(t, c.Valid())
	values := [...]uint64{1 << 63, 1<<63 | 1, 1}
	ts, v := int64(math.MinInt64), uint64(0)
	for n := range 120 {
		require.True(t, c.add(ts, v))
		require.True(t, c.Valid(), "%d samples", n+1)
		ts += math.MaxInt64 - int64(n*n)<<30
		v ^= values[n%3]
	}
	c.Bits = headerBytes*8 + firstTwoExtra + 120*maxNextBits
	require.True(t, c.Valid())
	c.Bits++
	require.False(t, c.Valid())
}

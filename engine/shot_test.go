package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A buffer gets smaller when what is copied has been much smaller for some rounds, and not before.
func TestCopyBufferShrinks(t *testing.T) {
	var b copyBuffer
	defer b.release()
	const large, small = 8 << 20, 2 << 20
	b.reserve(large)
	size := cap(b.data)
	require.Greater(t, size, large)
	for range 3 {
		for range looseRounds - 1 {
			b.reserve(small)
			require.Len(t, b.data, size)
		}
		b.reserve(large)
		require.Len(t, b.data, size)
	}
	for range looseRounds {
		b.reserve(small)
	}
	require.Greater(t, cap(b.data), small)
	require.Less(t, cap(b.data), large)
	b.reserve(large)
	require.Len(t, b.data, size)
}

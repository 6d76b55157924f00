package engine

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzChunkFile: any bytes are refused or taken for what they say; nothing is read behind them, and what is
// accepted encodes back to the same bytes.
func FuzzChunkFile(f *testing.F) {
	head := fileHead{stripe: 3, generation: 77, rng: -1, id: 9}.append(nil)
	chunk := appendChunk(nil, chunkHead{ref: 1<<40 - 1, minT: -5, maxT: 7, prev: makeLink(8, 4096), encoding: kindXOR, flags: 1}, []byte{0, 1, 2, 3, 4})
	f.Add(head)
	f.Add(chunk)
	f.Add(append(append([]byte(nil), head...), chunk...))
	f.Add(chunk[:len(chunk)-4])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseFileHead(b); err == nil {
			require.Equal(t, b[8:40], h.append(nil)[8:40])
		}
		if h, data, err := parseChunk(b); err == nil {
			again := appendChunk(nil, h, data)
			require.True(t, bytes.HasPrefix(again, b[:chunkHeadSize+len(data)]))
			require.Zero(t, len(again)%chunkAlign)
		}
	})
}

// Names of chunk files sort by stripe and id, and are read back; other names are not taken for ours.
func TestChunkFileName(t *testing.T) {
	for _, id := range []uint32{1, 999_999, 1<<24 - 1} {
		stripe, got, ok := parseChunkFileName(chunkFileName(63, id))
		require.True(t, ok)
		require.Equal(t, 63, stripe)
		require.Equal(t, id, got)
	}
	for _, name := range []string{"", "00-", "x0-000001", "00_000001", "00-00000x", "00-99999999"} {
		_, _, ok := parseChunkFileName(name)
		require.False(t, ok, name)
	}
}

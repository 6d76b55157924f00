package engine

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Chunk files that a process wrote before it was killed, and that no image names, are in nobody's way: the
// replay closes the same chunks again, into files of other names, and a clean stop finds nothing to complain
// about. The kill is a copy of the directory taken while the process runs.
func TestKillBetweenChunkFilesAndImage(t *testing.T) {
	c := testConfig(t)
	e := start(t, c)
	for k := range 300 {
		var b Batch
		for i := range 40 {
			add(&b, pod(i), sample(testNow.UnixMilli()+int64(k)*15_000, float64(i*k)))
		}
		push(t, e, "t", &b)
	}
	want := contents(t, e, "t")
	require.NoError(t, e.Tenant("t").flushChunks())
	for range 2 {
		killed := t.TempDir()
		require.NoError(t, os.CopyFS(killed, os.DirFS(c.Dir)))
		require.NoError(t, e.Close())

		c.Dir = killed
		e = start(t, c)
		require.Equal(t, want, contents(t, e, "t"))
		require.NoError(t, e.Tenant("t").flushChunks())
		require.Equal(t, want, contents(t, e, "t"))
	}
	require.NoError(t, e.Close())
	e = start(t, c)
	require.Equal(t, want, contents(t, e, "t"))
	require.NoError(t, e.Close())
}

package engine

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The catalogue is lost after some starts that wrote no image: the images are of an earlier epoch than the log,
// and the log is not taken for that of another, later owner.
func TestCatalogueLostAfterStartsWithoutImages(t *testing.T) {
	c := testConfig(t, byHand)
	e := start(t, c)
	var b Batch
	add(&b, pod(1), sample(testNow.UnixMilli(), 1))
	push(t, e, "t", &b)
	imageAll(t, e)
	for k := range 4 {
		killed := t.TempDir()
		require.NoError(t, os.CopyFS(killed, os.DirFS(c.Dir)))
		require.NoError(t, e.Close())
		c.Dir = killed
		e = start(t, c)
		b.Reset()
		add(&b, pod(1), sample(testNow.UnixMilli()+int64(k+1)*15_000, 1))
		push(t, e, "t", &b)
	}
	want := contents(t, e, "t")
	killed := t.TempDir()
	require.NoError(t, os.CopyFS(killed, os.DirFS(c.Dir)))
	require.NoError(t, e.Close())
	c.Dir = killed
	require.NoError(t, os.Remove(filepath.Join(killed, "t/catalogue")))
	e = start(t, c)
	require.Equal(t, want, contents(t, e, "t"))
	require.NoError(t, e.Close())
}

// A folder with a log and neither catalogue nor images is not passed over in silence.
func TestCatalogueLostWithoutImages(t *testing.T) {
	c := testConfig(t, func(c *Config) { c.Checkpoint = false })
	e := start(t, c)
	var b Batch
	add(&b, pod(1), sample(testNow.UnixMilli(), 1))
	push(t, e, "t", &b)
	require.NoError(t, e.Close())
	require.NoError(t, os.Remove(filepath.Join(c.Dir, "t/catalogue")))
	e, err := Open(c)
	require.NoError(t, err)
	require.ErrorIs(t, e.Recover(t.Context()), fs.ErrNotExist)
	require.NoError(t, e.Close())
}

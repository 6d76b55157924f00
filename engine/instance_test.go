package engine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A start removes what an interrupted write left, wherever we write, and nothing else: a tenant may be called
// what our temporary files are called.
func TestLeftovers(t *testing.T) {
	c := testConfig(t)
	e := start(t, c)
	var b Batch
	add(&b, pod(1), sample(testNow.UnixMilli(), 1))
	push(t, e, "a.tmp", &b)
	want := contents(t, e, "a.tmp")
	require.NoError(t, e.Close())

	leftovers := []string{"@rekindle/owner.json.tmp", "a.tmp/catalogue.tmp", "a.tmp/wal/checkpoint.00000001.tmp"}
	for _, name := range leftovers {
		require.NoError(t, os.WriteFile(filepath.Join(c.Dir, name), nil, 0o600))
	}
	e = start(t, c)
	require.Equal(t, want, contents(t, e, "a.tmp"))
	require.NoError(t, e.Close())
	for _, name := range leftovers {
		require.NoFileExists(t, filepath.Join(c.Dir, name))
	}
}

package disk

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Held sees a lock while it is held, neither takes nor breaks it, and makes no file.
func TestHeld(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	held, err := Held(name)
	require.NoError(t, err)
	require.False(t, held)
	require.NoFileExists(t, name)

	lock, err := OS.Lock(name)
	require.NoError(t, err)
	for range 2 {
		held, err = Held(name)
		require.NoError(t, err)
		require.True(t, held)
	}
	require.NoError(t, lock.Close())
	held, err = Held(name)
	require.NoError(t, err)
	require.False(t, held)
	lock, err = OS.Lock(name)
	require.NoError(t, err)
	require.NoError(t, lock.Close())
}

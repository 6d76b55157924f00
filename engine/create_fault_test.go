package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// A tenant that cannot be made because a step of it fails, whichever, is made by the next push after the disk
// works again, and is there after a restart.
func TestCreateAfterFailure(t *testing.T) {
	for step := 0; ; step++ {
		failing := &faultfs.Rule{Kinds: faultfs.Mutations | faultfs.OpenRW, Skip: step, Times: 1, Err: unix.ENOSPC}
		faults := faultfs.Inject(disk.OS)
		c := testConfig(t, func(c *Config) { c.FS = faults })
		e := start(t, c)
		var b Batch
		add(&b, pod(1), sample(testNow.UnixMilli(), 1))
		faults.Add(failing)
		_, err := e.create("t")
		failing.Clear()
		if err == nil {
			require.Greater(t, step, 5)
			return
		}
		require.ErrorIs(t, err, ErrUnavailable)
		push(t, e, "t", &b)
		want := contents(t, e, "t")
		require.NoError(t, e.Close())
		e = start(t, c)
		require.Equal(t, want, contents(t, e, "t"), "step %d", step)
		require.NoError(t, e.Close())
	}
}

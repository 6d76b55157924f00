package disk_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk"
)

// What the real file system has in common with the one in memory is tested in faultfs, by one suite for both.

// TestLockOfAnotherProcess shows that a lock keeps other processes out and ends with its process, also by SIGKILL.
func TestLockOfAnotherProcess(t *testing.T) {
	const env = "DISK_TEST_LOCK"
	if name := os.Getenv(env); name != "" {
		_, err := disk.OS.Lock(name)
		require.NoError(t, err)
		_, _ = os.Stdout.WriteString("locked\n")
		select {}
	}
	name := filepath.Join(t.TempDir(), "lock")
	child := exec.Command(os.Args[0], "-test.run=^TestLockOfAnotherProcess$")
	child.Env = append(os.Environ(), env+"="+name)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "locked\n", line)
	_, err = disk.OS.Lock(name)
	require.ErrorIs(t, err, disk.ErrLocked)

	require.NoError(t, child.Process.Signal(syscall.SIGKILL))
	require.Error(t, child.Wait())
	held, err := disk.OS.Lock(name)
	require.NoError(t, err)
	require.NoError(t, held.Close())
}

// TestAllocateTakesBlocks shows that Allocate reserves room on the disk, and that Truncate, which makes a file of
// the same size, does not.
func TestAllocateTakesBlocks(t *testing.T) {
	blocks := func(grow func(disk.File) error) int64 {
		name := filepath.Join(t.TempDir(), "f")
		f, err := disk.OS.Create(name)
		require.NoError(t, err)
		require.NoError(t, grow(f))
		require.NoError(t, f.Sync())
		require.NoError(t, f.Close())
		st, err := os.Stat(name)
		require.NoError(t, err)
		require.EqualValues(t, 1<<20, st.Size())
		return st.Sys().(*syscall.Stat_t).Blocks * 512
	}
	require.GreaterOrEqual(t, blocks(func(f disk.File) error { return f.Allocate(1 << 20) }), int64(1<<20))
	require.Less(t, blocks(func(f disk.File) error { return f.Truncate(1 << 20) }), int64(1<<20))
}

// TestHotPathAllocatesNothing shows that reading, writing and syncing leave nothing to the garbage collector but
// what a system call by descriptor needs.
func TestHotPathAllocatesNothing(t *testing.T) {
	f, err := disk.OS.Create(filepath.Join(t.TempDir(), "f"))
	require.NoError(t, err)
	defer f.Close()
	buf := make([]byte, 4096)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, werr := f.WriteAt(buf, 0)
		_, rerr := f.ReadAt(buf, 0)
		if werr != nil || rerr != nil {
			panic("write or read failed")
		}
	}))
}

package disk_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// changes are the operations between which the tests below look at the disk.
const changes = faultfs.Mutations

// disks returns what the next process may find if this one ends now: killed, or with the power cut.
func disks(m *faultfs.Mem) []*faultfs.Mem {
	all := []*faultfs.Mem{m.Kill()}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		all = append(all, m.Crash(rng), m.Kill().Crash(rng))
	}
	return all
}

func oneOf(t *testing.T, m *faultfs.Mem, name string, want ...string) {
	t.Helper()
	data, err := disk.ReadFile(m, name)
	require.NoError(t, err)
	require.Contains(t, want, string(data))
}

// TestWriteFileAtomicCrash ends the process and the power before and after each operation of WriteFileAtomic:
// the file is the old one or the new one, whole, from the moment of return the new one, and what was left does not
// stand in the way of the next.
func TestWriteFileAtomicCrash(t *testing.T) {
	before, after := strings.Repeat("old ", 4000), strings.Repeat("new ", 5000)
	look := func(m *faultfs.Mem, want ...string) {
		for _, left := range disks(m) {
			oneOf(t, left, "/f", want...)
			require.NoError(t, disk.WriteFileAtomic(left, "/f", []byte("next")))
			oneOf(t, left.Crash(rand.New(rand.NewPCG(0, 0))), "/f", "next")
		}
	}
	for n, at := range faultfs.Every(&faultfs.Rule{Kinds: changes, Times: 1}) {
		m := faultfs.NewMem()
		require.NoError(t, disk.WriteFileAtomic(m, "/f", []byte(before)))
		at.Before = func(faultfs.Op) { look(m, before, after) }
		at.After = func(faultfs.Op, error) { look(m, before, after) }
		require.NoError(t, disk.WriteFileAtomic(faultfs.Inject(m, at), "/f", []byte(after)))
		look(m, after)
		require.LessOrEqual(t, n, 6)
	}
}

// TestWriteFileAtomicFails has each operation of WriteFileAtomic fail, on a full disk and otherwise, once and from
// then on, undone and done: the error comes out, the file is the old or the new one, and a temporary file is left
// only where it could not be removed.
func TestWriteFileAtomicFails(t *testing.T) {
	for _, rule := range []*faultfs.Rule{
		{Kinds: changes, Err: unix.EIO, Times: 1},
		{Kinds: changes, Err: unix.EIO, Times: 1, Late: true},
		{Kinds: changes, Err: unix.EIO},
		{Kinds: faultfs.Write, Err: unix.ENOSPC, Times: 1, Tear: 2},
	} {
		for n, fault := range faultfs.Every(rule) {
			m := faultfs.NewMem()
			require.NoError(t, disk.WriteFileAtomic(m, "/f", []byte("old")))
			err := disk.WriteFileAtomic(faultfs.Inject(m, fault), "/f", []byte("new"))
			require.Equal(t, fault.Fired() > 0, err != nil, "operation %d", n)
			if err != nil {
				require.ErrorIs(t, err, rule.Err)
				require.ErrorContains(t, err, "/f")
				require.Equal(t, rule.Err == unix.ENOSPC, disk.IsFull(err))
			}
			oneOf(t, m, "/f", "old", "new")
			entries, err := m.ReadDir("/")
			require.NoError(t, err)
			if rule.Times == 1 && n > 1 { // the first is the removal itself, after the second it does not know of a file
				for _, e := range entries {
					require.Equal(t, "f", e.Name(), "operation %d", n)
				}
			}
			require.NoError(t, disk.WriteFileAtomic(m, "/f", []byte("next")))
			oneOf(t, m, "/f", "next")
		}
	}
}

// TestMkdirAllSyncCrash shows that a directory, once MkdirAllSync returned, is there for good, even if the process
// was killed in the middle of an earlier attempt and the next one found the directory there already.
func TestMkdirAllSyncCrash(t *testing.T) {
	for _, at := range faultfs.Every(&faultfs.Rule{Kinds: changes, Times: 1}) {
		m := faultfs.NewMem()
		at.Before = func(faultfs.Op) {
			for _, left := range disks(m) {
				require.NoError(t, disk.MkdirAllSync(left, "/a/b/c", 0o755))
				for seed := range uint64(20) {
					_, err := left.Crash(rand.New(rand.NewPCG(seed, 0))).Stat("/a/b/c")
					require.NoError(t, err)
				}
			}
		}
		require.NoError(t, disk.MkdirAllSync(faultfs.Inject(m, at), "/a/b/c", 0o755))
	}
	for _, fault := range faultfs.Every(&faultfs.Rule{Times: 1, Err: unix.EIO}) {
		err := disk.MkdirAllSync(faultfs.Inject(faultfs.NewMem(), fault), "/a/b", 0o755)
		require.Equal(t, fault.Fired() > 0, errors.Is(err, unix.EIO))
	}
	// A parent that may not be read is passed over if the directory is there, and only then.
	m := faultfs.NewMem()
	require.NoError(t, m.MkdirAll("/home/data", 0o755))
	closed := faultfs.Inject(m, &faultfs.Rule{Kinds: faultfs.SyncDir, Path: "home", Err: unix.EACCES})
	require.NoError(t, disk.MkdirAllSync(closed, "/home/data/tenant", 0o755))
	require.ErrorIs(t, disk.MkdirAllSync(closed, "/home/other", 0o755), fs.ErrPermission)
}

// TestProbe shows that whatever does not work in a directory, the probe says so and names it, and leaves nothing
// that could be removed.
func TestProbe(t *testing.T) {
	for _, fault := range faultfs.Every(&faultfs.Rule{Kinds: changes | faultfs.Open | faultfs.Read, Err: unix.EROFS, Times: 1}) {
		m := faultfs.NewMem()
		require.NoError(t, m.MkdirAll("/data", 0o755))
		err := disk.Probe(faultfs.Inject(m, fault), "/data")
		require.Equal(t, fault.Fired() > 0, errors.Is(err, unix.EROFS))
		if err != nil {
			require.ErrorContains(t, err, "/data cannot be used for data")
		}
	}
	m := faultfs.NewMem()
	m.SetCapacity(0)
	err := disk.Probe(m, "/")
	require.True(t, disk.IsFull(err))
	entries, err := m.ReadDir("/")
	require.NoError(t, err)
	require.Empty(t, entries)

	rot := &faultfs.Rule{Kinds: faultfs.Sync, After: func(op faultfs.Op, _ error) {
		f, err := m.OpenRW(op.Name)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte("rot"), 0)
		require.NoError(t, err)
	}}
	m.SetCapacity(-1)
	require.ErrorContains(t, disk.Probe(faultfs.Inject(m, rot), "/"), "reads back differently")
}

// TestIsFull shows which errors mean that room helps, as deep as they are wrapped.
func TestIsFull(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, unix.ENOSPC: true, unix.EDQUOT: true, unix.EIO: false, unix.EFBIG: false,
		fmt.Errorf("commit 7: %w", &fs.PathError{Op: "write", Path: "f", Err: syscall.ENOSPC}): true,
		errors.Join(unix.EIO, unix.ENOSPC): true,
	} {
		require.Equal(t, want, disk.IsFull(err), "%v", err)
	}
}

// TestFillHoles shows what Allocate does where the file system can't: afterwards every block can be written on a
// disk without room, and the file holds what it held. If there is not enough room it says so.
func TestFillHoles(t *testing.T) {
	const block = 4096
	for _, size := range []int64{0, 1, block, 3*block + 1, 100*block + 5, 700 * block} {
		m := faultfs.NewMem()
		f, err := m.Create("/f")
		require.NoError(t, err)
		want := make([]byte, max(size, 9*block+100))
		for _, at := range []int{0, 2*block + 1, 7*block + 4095, 9*block + 99} {
			want[at] = 'x'
			_, err := f.WriteAt([]byte("x"), int64(at))
			require.NoError(t, err)
		}
		require.NoError(t, disk.FillHoles(f, size))
		got, err := disk.ReadFile(m, "/f")
		require.NoError(t, err)
		require.Equal(t, want, got)
		m.SetCapacity(0)
		_, err = f.WriteAt(make([]byte, size), 0)
		require.NoError(t, err)
	}
	m := faultfs.NewMem()
	m.SetCapacity(10 * block)
	f, err := m.Create("/f")
	require.NoError(t, err)
	require.True(t, disk.IsFull(disk.FillHoles(f, 11*block)))
}

package faultfs

import (
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
)

func free(t *testing.T, m *Mem) int {
	t.Helper()
	n, err := m.Free("/")
	require.NoError(t, err)
	return int(n)
}

// TestCapacity shows what a full disk does: writes end short where the room ends, blocks that were allocated can
// be written, holes can't, a reservation happens whole or not at all, and room comes back when the last name, open
// file and mapping of a file are gone, or when the disk gets larger.
func TestCapacity(t *testing.T) {
	m := NewMem()
	m.SetCapacity(10 * 4096)
	require.Equal(t, 10*4096, free(t, m))
	f := create(t, m, "/f", "")
	require.NoError(t, f.Allocate(3*4096))
	require.NoError(t, f.Truncate(20*4096)) // a hole takes no room
	require.Equal(t, 7*4096, free(t, m))
	err := f.Allocate(11 * 4096)
	require.True(t, disk.IsFull(err))
	size(t, f, 20*4096)
	require.Equal(t, 7*4096, free(t, m))

	g := create(t, m, "/g", "")
	n, err := g.WriteAt(make([]byte, 8*4096), 4095)
	require.True(t, disk.IsFull(err))
	require.Equal(t, 1+6*4096, n)
	size(t, g, 7*4096)
	require.Zero(t, free(t, m))
	n, err = g.WriteAt([]byte("x"), 7*4096)
	require.True(t, disk.IsFull(err))
	require.Zero(t, n)
	size(t, g, 7*4096)
	_, err = f.WriteAt(make([]byte, 4096), 3*4096)
	require.True(t, disk.IsFull(err))
	_, err = f.WriteAt(make([]byte, 3*4096), 0)
	require.NoError(t, err)
	create(t, m, "/empty", "").Close()
	require.Error(t, disk.WriteFileAtomic(m, "/new", []byte("x")))
	_, err = m.Stat("/new.tmp")
	require.ErrorIs(t, err, unix.ENOENT)

	m.SetCapacity(11 * 4096)
	_, err = f.WriteAt(make([]byte, 4096), 3*4096)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(4096+1))
	require.Equal(t, 2*4096, free(t, m))
	mapped, err := g.Map(4096, false)
	require.NoError(t, err)
	require.NoError(t, m.Link("/g", "/h"))
	for _, drop := range []func() error{
		func() error { return m.Remove("/g") }, g.Close, func() error { return m.Rename("/empty", "/h") },
	} {
		require.NoError(t, drop())
		require.Equal(t, 2*4096, free(t, m))
	}
	require.NoError(t, mapped.Unmap())
	require.Equal(t, 9*4096, free(t, m))
	require.Equal(t, 9*4096, free(t, m.Kill()))
	m.SetCapacity(0)
	require.Zero(t, free(t, m))
	m.SetCapacity(-1)
	require.NoError(t, f.Allocate(100*4096))
}

// TestKill shows what the next process finds after this one was killed: all that was written and stored through
// mappings, no locks, and still nothing more durable than before. And the old process can't reach it.
func TestKill(t *testing.T) {
	m := NewMem()
	_, err := m.Lock("/lock")
	require.NoError(t, err)
	f := create(t, m, "/f", "synced")
	require.NoError(t, f.Sync())
	require.NoError(t, m.SyncDir("/"))
	_, err = f.WriteAt([]byte("cached"), 0)
	require.NoError(t, err)
	mapped, err := f.Map(6, true)
	require.NoError(t, err)
	mapped.Bytes()[0] = 'C'
	stored := create(t, m, "/stored", "data")
	require.NoError(t, stored.Sync())
	image, err := stored.Map(4, true)
	require.NoError(t, err)
	image.Bytes()[0] = 'D'
	require.NoError(t, m.Link("/f", "/g"))
	require.NoError(t, m.MkdirAll("/new/dir", 0o755))
	create(t, m, "/gone", "").Close()
	require.NoError(t, m.Remove("/gone"))

	next := m.Kill()
	_, err = f.WriteAt([]byte("zombie"), 0)
	require.NoError(t, err)
	mapped.Bytes()[0] = 'Z'
	require.Equal(t, map[string]string{
		"/f": "Cached", "/g": "Cached", "/lock": "", "/new": "directory", "/new/dir": "directory",
		"/stored": "Data",
	}, dump(t, next, "/"))
	held, err := next.Lock("/lock")
	require.NoError(t, err)
	require.NoError(t, held.Close())

	seen := map[string]bool{}
	for seed := range uint64(200) {
		after := dump(t, next.Crash(rand.New(rand.NewPCG(seed, 0))), "/")
		seen["f="+after["/f"]] = true
		seen["g="+after["/g"]] = true
		seen["new="+after["/new"]] = true
	}
	require.Equal(t, map[string]bool{
		"f=synced": true, "f=Cached": true, "g=": true, "g=synced": true, "g=Cached": true,
		"new=": true, "new=directory": true,
	}, seen)

	g, err := next.OpenRW("/g") // still one file
	require.NoError(t, err)
	_, err = g.WriteAt([]byte("next"), 0)
	require.NoError(t, err)
	require.NoError(t, g.Sync())
	require.NoError(t, g.Close())
	stored, err = next.OpenRW("/stored")
	require.NoError(t, err)
	require.NoError(t, stored.Sync()) // a sync of the next process covers what the last one stored
	require.NoError(t, next.SyncDir("/"))
	for seed := range uint64(20) {
		after := dump(t, next.Crash(rand.New(rand.NewPCG(seed, 0))), "/")
		require.Equal(t, "nexted", after["/f"])
		require.Equal(t, "nexted", after["/g"])
		require.Equal(t, "Data", after["/stored"])
	}
}

// TestMapLimit shows that contents never move under a mapping: a file that would have to is refused.
func TestMapLimit(t *testing.T) {
	m := NewMem()
	f := create(t, m, "/f", "data")
	mapped, err := f.Map(4, true)
	require.NoError(t, err)
	require.ErrorIs(t, f.Truncate(regionSize+1), unix.EFBIG)
	require.NoError(t, f.Truncate(regionSize))
	mapped.Bytes()[0] = 'D'
	require.NoError(t, f.Truncate(4))
	require.NoError(t, mapped.Unmap())
	contains(t, m, "/f", "Data")
}

// TestForgottenMappings shows that a process which a test gave up without unmapping does not keep its memory: once
// nobody can reach a mapping any more, its address is free.
func TestForgottenMappings(t *testing.T) {
	bytes := func() []byte {
		f := create(t, NewMem(), "/f", "data")
		m, err := f.Map(4, true)
		require.NoError(t, err)
		return m.Bytes()
	}()
	for start := time.Now(); !faults(bytes); time.Sleep(time.Millisecond) {
		require.Less(t, time.Since(start), time.Minute)
		runtime.GC()
	}
}

func faults(b []byte) (yes bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { yes = recover() != nil }()
	return b[0] == 0
}

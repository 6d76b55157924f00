package faultfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
)

// TestRuleCounts shows which of the operations that match a rule it acts on, and that Clear and Arm hold for
// files that are open.
func TestRuleCounts(t *testing.T) {
	r := &Rule{Kinds: Write, Path: "*.log", Skip: 2, Times: 2, Err: unix.EIO}
	fsys := Inject(NewMem(), r)
	log, other := create(t, fsys, "/a.log", ""), create(t, fsys, "/a.txt", "")
	outcome := func() (s string) {
		for range 5 {
			_, err := other.WriteAt([]byte("x"), 0)
			require.NoError(t, err)
			if _, err := log.WriteAt([]byte("x"), 0); err != nil {
				require.ErrorIs(t, err, unix.EIO)
				require.ErrorContains(t, err, "write /a.log")
				s += "!"
			} else {
				s += "."
			}
		}
		return s
	}
	require.Equal(t, ".!!..", outcome()) // create was the first write
	require.Equal(t, 6, r.Seen())
	require.Equal(t, 2, r.Fired())
	r.Arm()
	require.Equal(t, "..!!.", outcome())
	r.Clear()
	full := &Rule{Kinds: Write | Allocate, Err: unix.ENOSPC}
	fsys.Add(full)
	for range 3 {
		_, err := log.WriteAt([]byte("x"), 0)
		require.True(t, disk.IsFull(err))
		require.True(t, disk.IsFull(log.Allocate(1)))
	}
	full.Clear()
	require.Equal(t, ".....", outcome())
}

// TestRulePath shows that a pattern is held against as many elements from the end as it has itself.
func TestRulePath(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"f", "/d/f", true},
		{"f", "f", true},
		{"*", "/d/f", true},
		{"f*", "/d/g", false},
		{"d/f", "/d/f", true},
		{"d/f", "d/f", true},
		{"d/*", "/c/d/f", true},
		{"d/f", "/c/e/f", false},
		{"d/f", "f", false},
		{"c/d/f", "d/f", false},
		{"*/f", "/d/f", true},
		{"*/f", "/f", false},
	} {
		require.Equal(t, c.want, (&Rule{Path: c.pattern}).matches(c.name), "%s against %s", c.pattern, c.name)
	}
	r := &Rule{Kinds: Rename, Path: "*.tmp"}
	fsys := Inject(NewMem(), r)
	require.NoError(t, disk.WriteFileAtomic(fsys, "/f", nil))
	require.Equal(t, 1, r.Seen()) // by its old name
	require.Panics(t, func() { fsys.Add(&Rule{Path: "["}) })
	require.Panics(t, func() { fsys.Add(&Rule{Tear: 1}) })
}

// TestEveryOperationFails runs each operation with an error injected, in place of the operation and after it,
// on the real file system and on Mem: the caller sees the error and its kind, and only what is done late is done.
func TestEveryOperationFails(t *testing.T) {
	type world struct {
		fs disk.FS
		f  disk.File
		m  disk.Mapping
		d  string
	}
	ops := map[Kind]func(w world) error{
		Open:      func(w world) error { _, err := w.fs.Open(w.d + "/f"); return err },
		Create:    func(w world) error { _, err := w.fs.Create(w.d + "/new"); return err },
		OpenRW:    func(w world) error { _, err := w.fs.OpenRW(w.d + "/f"); return err },
		MkdirAll:  func(w world) error { return w.fs.MkdirAll(w.d+"/new", 0o755) },
		Remove:    func(w world) error { return w.fs.Remove(w.d + "/g") },
		RemoveAll: func(w world) error { return w.fs.RemoveAll(w.d + "/g") },
		Rename:    func(w world) error { return w.fs.Rename(w.d+"/g", w.d+"/new") },
		Link:      func(w world) error { return w.fs.Link(w.d+"/g", w.d+"/new") },
		ReadDir:   func(w world) error { _, err := w.fs.ReadDir(w.d); return err },
		Stat:      func(w world) error { _, err := w.fs.Stat(w.d); return err },
		SyncDir:   func(w world) error { return w.fs.SyncDir(w.d) },
		Lock:      func(w world) error { _, err := w.fs.Lock(w.d + "/g"); return err },
		Free:      func(w world) error { _, err := w.fs.Free(w.d); return err },
		Read:      func(w world) error { _, err := w.f.ReadAt(make([]byte, 1), 0); return err },
		Write:     func(w world) error { _, err := w.f.WriteAt([]byte("changed"), 0); return err },
		Close:     func(w world) error { return w.f.Close() },
		Size:      func(w world) error { _, err := w.f.Size(); return err },
		Truncate:  func(w world) error { return w.f.Truncate(1) },
		Sync:      func(w world) error { return w.f.Sync() },
		Allocate:  func(w world) error { return w.f.Allocate(100) },
		Map:       func(w world) error { _, err := w.f.Map(1, true); return err },
		SyncRange: func(w world) error { return w.m.SyncRange(0, 1) },
		Unmap:     func(w world) error { return w.m.Unmap() },
	}
	require.Len(t, ops, len(kindNames))
	visible := Create | MkdirAll | Remove | RemoveAll | Rename | Link | Write | Truncate | Allocate
	for kind, op := range ops {
		for _, late := range []bool{false, true} {
			for _, inner := range []disk.FS{disk.OS, NewMem()} {
				w := world{d: t.TempDir()}
				require.NoError(t, inner.MkdirAll(w.d, 0o755))
				create(t, inner, w.d+"/g", "other").Close()
				var seen []string
				rule := &Rule{
					Kinds: kind, Err: unix.EIO, Late: late, Before: func(op Op) { seen = append(seen, op.String()) },
					After: func(op Op, err error) { seen = append(seen, err.Error()) },
				}
				rule.Clear()
				w.fs = Inject(inner, rule)
				w.f = create(t, w.fs, w.d+"/f", "data")
				var err error
				w.m, err = w.f.Map(4, true)
				require.NoError(t, err)
				before := dump(t, inner, w.d)
				rule.Arm()
				err = op(w)
				require.ErrorIs(t, err, unix.EIO, "%v", kind)
				require.ErrorContains(t, err, kind.String())
				require.Equal(t, 1, rule.Fired(), "%v", kind)
				require.Len(t, seen, 2)
				require.Contains(t, seen[0], kind.String()+" "+w.d)
				require.Equal(t, err.Error(), seen[1])
				if late && kind&visible != 0 {
					require.NotEqual(t, before, dump(t, inner, w.d), "%v", kind)
				} else {
					require.Equal(t, before, dump(t, inner, w.d), "%v", kind)
				}
				rule.Clear()
				if kind == Lock {
					held, err := inner.Lock(w.d + "/g")
					require.NoError(t, err) // nobody is left with it
					require.NoError(t, held.Close())
				}
			}
		}
	}
}

// dump returns all files under a directory with their contents.
func dump(t *testing.T, fsys disk.FS, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := fsys.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if e.IsDir() {
			all[name] = "directory"
			for name, data := range dump(t, fsys, name) {
				all[name] = data
			}
			continue
		}
		data, err := disk.ReadFile(fsys, name)
		require.NoError(t, err)
		all[name] = string(data)
	}
	return all
}

// TestTear shows that a torn write leaves its first bytes and says how many.
func TestTear(t *testing.T) {
	r := &Rule{Kinds: Write, Skip: 1, Err: io.ErrShortWrite, Tear: 3}
	fsys := Inject(NewMem(), r)
	f := create(t, fsys, "/f", "0123456789")
	n, err := f.WriteAt([]byte("abcdef"), 2)
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.Equal(t, 3, n)
	contains(t, fsys, "/f", "01abc56789")
	n, err = f.WriteAt([]byte("XY"), 0) // shorter than the tear: done, and failed all the same
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.Equal(t, 2, n)
	contains(t, fsys, "/f", "XYabc56789")
}

// TestDelay shows that a slow operation takes its time and stops nobody else.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := Inject(NewMem(), &Rule{Kinds: Sync, Path: "slow", Delay: time.Minute})
		slow, fast := create(t, fsys, "/slow", ""), create(t, fsys, "/fast", "")
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { require.NoError(t, slow.Sync()) })
		synctest.Wait()
		require.NoError(t, fast.Sync())
		require.Zero(t, time.Since(start))
		wg.Wait()
		require.Equal(t, time.Minute, time.Since(start))
	})
}

// TestEvery shows that a scenario meets a fault at each of its operations once, and then none.
func TestEvery(t *testing.T) {
	var failed []string
	for n, r := range Every(&Rule{Kinds: Mutations, Times: 1, Err: unix.EIO}) {
		r.Before = func(op Op) { failed = append(failed, op.String()) }
		err := disk.WriteFileAtomic(Inject(NewMem(), r), "/f", []byte("data"))
		require.Len(t, failed, min(n+1, 6))
		if n == 0 { // there was nothing to remove: that the removal fails is still an error
			require.ErrorIs(t, err, unix.EIO)
		}
		require.Equal(t, n < 6, err != nil)
	}
	require.Equal(t, []string{
		"remove /f.tmp", "create /f.tmp", "write /f.tmp [0,4)", "sync /f.tmp", "rename /f.tmp to /f", "syncdir /",
	}, failed)
}

// TestInjectConcurrent shows that many goroutines may work while rules come and go, and that none is counted twice.
func TestInjectConcurrent(t *testing.T) {
	once := &Rule{Kinds: Write, Skip: 500, Times: 1, Err: unix.EIO}
	fsys := Inject(NewMem(), once)
	const workers, writes = 8, 200
	failures := make([]int, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			f, err := fsys.Create(fmt.Sprint("/", w))
			if err != nil {
				failures[w] = -1
				return
			}
			for range writes {
				if _, err := f.WriteAt([]byte("x"), 0); errors.Is(err, unix.EIO) {
					failures[w]++
				}
				fsys.Add(&Rule{Kinds: Sync})
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range failures {
		total += n
	}
	require.Equal(t, 1, total)
	require.Equal(t, workers*writes, once.Seen())
}

// TestInjectIsCheap shows that rules which watch the hot path allocate nothing.
func TestInjectIsCheap(t *testing.T) {
	fsys := Inject(NewMem(), &Rule{Kinds: Mutations, Path: "wal/*"}, &Rule{Kinds: Sync, Err: unix.EIO}, &Rule{Before: func(Op) {}})
	f := create(t, fsys, "/f", "data")
	buf := make([]byte, 4)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, werr := f.WriteAt(buf, 0)
		_, rerr := f.ReadAt(buf, 0)
		if werr != nil || rerr != nil {
			panic("write or read failed")
		}
	}))
}

// TestKillAtOperation shows that a hook can end the process with SIGKILL at a chosen point, before or after an
// operation or in the middle of a write, and that the file then holds exactly what was done until there.
func TestKillAtOperation(t *testing.T) {
	const point, where = "FAULTFS_KILL_POINT", "FAULTFS_KILL_DIR"
	kill := func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }
	points := map[string]struct {
		rule *Rule
		want string
	}{
		"before": {&Rule{Kinds: Write, Skip: 1, Before: func(Op) { kill() }}, "one "},
		"after":  {&Rule{Kinds: Write, Skip: 1, After: func(Op, error) { kill() }}, "one two "},
		"middle": {&Rule{Kinds: Write, Skip: 1, Err: io.ErrShortWrite, Tear: 2, After: func(Op, error) { kill() }}, "one tw"},
	}
	if p, ok := points[os.Getenv(point)]; ok {
		f, err := Inject(disk.OS, p.rule).Create(filepath.Join(os.Getenv(where), "f"))
		for i, word := range []string{"one ", "two ", "three "} {
			require.NoError(t, err)
			_, err = f.WriteAt([]byte(word), int64(4*i))
		}
		t.Fatal("still alive")
	}
	for name, p := range points {
		dir := t.TempDir()
		child := exec.Command(os.Args[0], "-test.run=^TestKillAtOperation$")
		child.Env = append(os.Environ(), point+"="+name, where+"="+dir)
		out, err := child.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s", out)
		require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "%s", out)
		contains(t, disk.OS, filepath.Join(dir, "f"), p.want)
	}
}

package faultfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
)

// TestFS shows that the real file system, the one in memory and both behind Inject are the same to a program:
// one suite runs on all of them.
func TestFS(t *testing.T) {
	systems := map[string]func() disk.FS{
		"OS":         func() disk.FS { return disk.OS },
		"Mem":        func() disk.FS { return NewMem() },
		"Inject/OS":  func() disk.FS { return Inject(disk.OS, &Rule{}) },
		"Inject/Mem": func() disk.FS { return Inject(NewMem(), &Rule{}) },
	}
	suite := map[string]func(t *testing.T, fsys disk.FS, dir string){
		"Contents": testContents, "Names": testNames, "NameErrors": testNameErrors, "Links": testLinks,
		"OpenFiles": testOpenFiles, "Allocate": testAllocate, "Map": testMap, "MapGrows": testMapGrows,
		"Lock": testLock, "Helpers": testHelpers, "Concurrent": testConcurrent, "Random": testRandom,
	}
	for system, make := range systems {
		for name, run := range suite {
			t.Run(system+"/"+name, func(t *testing.T) {
				fsys, dir := make(), filepath.Join(t.TempDir(), "data")
				require.NoError(t, disk.MkdirAllSync(fsys, dir, 0o755))
				run(t, fsys, dir)
			})
		}
	}
}

func create(t *testing.T, fsys disk.FS, name, data string) disk.File {
	t.Helper()
	f, err := fsys.Create(name)
	require.NoError(t, err)
	n, err := f.WriteAt([]byte(data), 0)
	require.NoError(t, err)
	require.Equal(t, len(data), n)
	return f
}

func contains(t *testing.T, fsys disk.FS, name, want string) {
	t.Helper()
	got, err := disk.ReadFile(fsys, name)
	require.NoError(t, err)
	require.Equal(t, want, string(got), name)
}

// testContents: reads, writes and sizes, at the ends and across holes.
func testContents(t *testing.T, fsys disk.FS, dir string) {
	name := filepath.Join(dir, "f")
	f := create(t, fsys, name, "0123456789")
	defer f.Close()
	require.Equal(t, name, f.Name())

	buf := make([]byte, 6)
	n, err := f.ReadAt(buf, 2)
	require.NoError(t, err)
	require.Equal(t, "234567", string(buf[:n]))
	n, err = f.ReadAt(buf, 7)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "789", string(buf[:n]))
	n, err = f.ReadAt(buf, 10)
	require.ErrorIs(t, err, io.EOF)
	require.Zero(t, n)
	_, err = f.ReadAt(buf, -1)
	require.Error(t, err)
	_, err = f.WriteAt(buf, -1)
	require.Error(t, err)

	_, err = f.WriteAt([]byte("x"), 9000)
	require.NoError(t, err)
	size(t, f, 9001)
	require.NoError(t, f.Truncate(5))
	require.NoError(t, f.Truncate(8)) // what was cut off does not come back
	require.NoError(t, f.Sync())
	contains(t, fsys, name, "01234\x00\x00\x00")
	n, err = f.WriteAt(nil, 100)
	require.NoError(t, err)
	require.Zero(t, n)
	size(t, f, 8)
}

func size(t *testing.T, f disk.File, want int64) {
	t.Helper()
	got, err := f.Size()
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// testNames: what the changes of names do, and how a directory lists them.
func testNames(t *testing.T, fsys disk.FS, dir string) {
	at := func(name string) string { return filepath.Join(dir, name) }
	create(t, fsys, at("b"), "B").Close()
	create(t, fsys, at("a"), "A").Close()
	require.NoError(t, fsys.MkdirAll(at("d/e"), 0o755))
	require.NoError(t, fsys.MkdirAll(at("d/e"), 0o755))
	list := func(want ...string) {
		t.Helper()
		entries, err := fsys.ReadDir(dir)
		require.NoError(t, err)
		var got []string
		for _, e := range entries {
			s := e.Name()
			if e.IsDir() {
				s += "/"
			}
			got = append(got, s)
		}
		require.Equal(t, want, got)
	}
	list("a", "b", "d/")
	require.NoError(t, fsys.Rename(at("a"), at("b"))) // replaces
	contains(t, fsys, at("b"), "A")
	require.NoError(t, fsys.Rename(at("b"), at("d/e/f")))
	require.NoError(t, fsys.Rename(at("d"), at("g"))) // with what is in it
	contains(t, fsys, at("g/e/f"), "A")
	list("g/")
	require.NoError(t, fsys.SyncDir(dir))

	st, err := fsys.Stat(at("g/e/f"))
	require.NoError(t, err)
	require.Equal(t, "f", st.Name())
	require.EqualValues(t, 1, st.Size())
	require.False(t, st.IsDir())
	require.True(t, st.Mode().IsRegular())
	st, err = fsys.Stat(at("g"))
	require.NoError(t, err)
	require.True(t, st.IsDir())

	require.NoError(t, fsys.Remove(at("g/e/f")))
	require.NoError(t, fsys.Remove(at("g/e")))
	create(t, fsys, at("g/h"), "").Close()
	require.NoError(t, fsys.RemoveAll(at("g")))
	require.NoError(t, fsys.RemoveAll(at("g")))
	list()
	free, err := fsys.Free(dir)
	require.NoError(t, err)
	require.Positive(t, free)
}

// testNameErrors: each refused change of names leaves everything as it was, with the error callers look for.
func testNameErrors(t *testing.T, fsys disk.FS, dir string) {
	at := func(name string) string { return filepath.Join(dir, name) }
	create(t, fsys, at("f"), "F").Close()
	create(t, fsys, at("d/../g"), "G").Close()
	require.NoError(t, fsys.MkdirAll(at("d/e"), 0o755))
	open := func(open func(string) (disk.File, error), name string) error {
		_, err := open(at(name))
		return err
	}
	readDir := func(name string) error { _, err := fsys.ReadDir(at(name)); return err }
	stat := func(name string) error { _, err := fsys.Stat(at(name)); return err }
	for what, c := range map[string]struct{ got, want error }{
		"open missing":           {open(fsys.Open, "x"), fs.ErrNotExist},
		"openrw missing":         {open(fsys.OpenRW, "x"), fs.ErrNotExist},
		"openrw dir":             {open(fsys.OpenRW, "d"), unix.EISDIR},
		"open under file":        {open(fsys.Open, "f/x"), unix.ENOTDIR},
		"create existing":        {open(fsys.Create, "f"), fs.ErrExist},
		"create over dir":        {open(fsys.Create, "d"), fs.ErrExist},
		"create without dir":     {open(fsys.Create, "x/y"), fs.ErrNotExist},
		"create under file":      {open(fsys.Create, "f/y"), unix.ENOTDIR},
		"mkdir over file":        {fsys.MkdirAll(at("f"), 0o755), unix.ENOTDIR},
		"mkdir under file":       {fsys.MkdirAll(at("f/y"), 0o755), unix.ENOTDIR},
		"remove missing":         {fsys.Remove(at("x")), fs.ErrNotExist},
		"remove full dir":        {fsys.Remove(at("d")), unix.ENOTEMPTY},
		"rename missing":         {fsys.Rename(at("x"), at("f")), fs.ErrNotExist},
		"rename to missing dir":  {fsys.Rename(at("f"), at("x/y")), fs.ErrNotExist},
		"rename file over dir":   {fsys.Rename(at("f"), at("d/e")), fs.ErrExist},
		"rename dir over file":   {fsys.Rename(at("d"), at("f")), unix.ENOTDIR},
		"rename dir over dir":    {fsys.Rename(at("d"), at("d/e")), fs.ErrExist},
		"rename dir into itself": {fsys.Rename(at("d"), at("d/x")), unix.EINVAL},
		"link missing":           {fsys.Link(at("x"), at("y")), fs.ErrNotExist},
		"link over file":         {fsys.Link(at("f"), at("g")), fs.ErrExist},
		"link dir":               {fsys.Link(at("d"), at("y")), unix.EPERM},
		"readdir missing":        {readDir("x"), fs.ErrNotExist},
		"readdir file":           {readDir("f"), unix.ENOTDIR},
		"stat missing":           {stat("x"), fs.ErrNotExist},
		"stat under file":        {stat("f/x"), unix.ENOTDIR},
		"syncdir missing":        {fsys.SyncDir(at("x")), fs.ErrNotExist},
	} {
		require.ErrorIs(t, c.got, c.want, what)
	}
	contains(t, fsys, at("f"), "F")
	contains(t, fsys, at("g"), "G")
	require.NoError(t, stat("d/e"))
}

// testLinks: two names are one file, until one is replaced, and renaming one over the other does nothing.
func testLinks(t *testing.T, fsys disk.FS, dir string) {
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	f := create(t, fsys, a, "one")
	defer f.Close()
	require.NoError(t, fsys.Link(a, b))
	_, err := f.WriteAt([]byte("two"), 0)
	require.NoError(t, err)
	contains(t, fsys, b, "two")
	require.NoError(t, fsys.Rename(a, b))
	contains(t, fsys, a, "two")
	create(t, fsys, filepath.Join(dir, "c"), "new").Close()
	require.NoError(t, fsys.Rename(filepath.Join(dir, "c"), b))
	contains(t, fsys, a, "two")
	contains(t, fsys, b, "new")
}

// testOpenFiles: an open file outlives its name, a closed one does nothing, and one open for reading is not written.
func testOpenFiles(t *testing.T, fsys disk.FS, dir string) {
	name := filepath.Join(dir, "f")
	f := create(t, fsys, name, "data")
	r, err := fsys.Open(name)
	require.NoError(t, err)
	_, err = r.WriteAt([]byte("x"), 0)
	require.Error(t, err)
	require.Error(t, r.Truncate(0))
	require.Error(t, r.Allocate(8192))
	_, err = r.Map(4, true)
	require.Error(t, err)
	m, err := r.Map(4, false)
	require.NoError(t, err)

	require.NoError(t, fsys.Remove(name))
	create(t, fsys, name, "other").Close()
	buf := make([]byte, 4)
	_, err = r.ReadAt(buf, 0)
	require.NoError(t, err)
	require.Equal(t, "data", string(buf))
	require.NoError(t, r.Sync())
	require.NoError(t, r.Close())
	require.Equal(t, "data", string(m.Bytes())) // a mapping outlives its file
	require.NoError(t, m.Unmap())
	require.NoError(t, f.Close())

	_, err = f.WriteAt([]byte("x"), 0)
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = f.ReadAt(buf, 0)
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, f.Sync(), fs.ErrClosed)
	require.ErrorIs(t, f.Close(), fs.ErrClosed)
	require.ErrorIs(t, f.Truncate(0), fs.ErrClosed)
	require.ErrorIs(t, f.Allocate(1), fs.ErrClosed)
	_, err = f.Size()
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = f.Map(1, false)
	require.ErrorIs(t, err, fs.ErrClosed)
	contains(t, fsys, name, "other")
}

// testAllocate: the file grows with zeros, keeps what it holds, and never shrinks.
func testAllocate(t *testing.T, fsys disk.FS, dir string) {
	name := filepath.Join(dir, "f")
	f := create(t, fsys, name, "data")
	defer f.Close()
	require.NoError(t, f.Allocate(10000))
	contains(t, fsys, name, "data"+string(make([]byte, 9996)))
	require.NoError(t, f.Allocate(100))
	require.NoError(t, f.Allocate(0))
	size(t, f, 10000)
	require.Error(t, f.Allocate(-1))
}

// testMap: a mapping and the file are the same bytes, and a mapping ends with the file.
func testMap(t *testing.T, fsys disk.FS, dir string) {
	name := filepath.Join(dir, "f")
	f := create(t, fsys, name, "")
	defer f.Close()
	require.NoError(t, f.Allocate(3*4096+5))
	_, err := f.Map(3*4096+6, true)
	require.Error(t, err)
	_, err = f.Map(-1, true)
	require.Error(t, err)
	empty, err := f.Map(0, true)
	require.NoError(t, err)
	require.Empty(t, empty.Bytes())
	require.NoError(t, empty.SyncRange(0, 0))
	require.NoError(t, empty.Unmap())

	m, err := f.Map(3*4096+5, true)
	require.NoError(t, err)
	b := m.Bytes()
	require.Len(t, b, 3*4096+5)
	require.Equal(t, len(b), cap(b))
	copy(b[5000:], "stored")
	require.NoError(t, m.SyncRange(5003, 2))
	require.Error(t, m.SyncRange(0, 3*4096+6))
	require.Error(t, m.SyncRange(-1, 2))
	buf := make([]byte, 6)
	_, err = f.ReadAt(buf, 5000)
	require.NoError(t, err)
	require.Equal(t, "stored", string(buf))
	_, err = f.WriteAt([]byte("written"), 8000)
	require.NoError(t, err)
	require.Equal(t, "written", string(b[8000:8007]))
	require.NoError(t, m.Unmap())
	require.ErrorIs(t, m.Unmap(), fs.ErrClosed)
	require.ErrorIs(t, m.SyncRange(0, 1), fs.ErrClosed)
	_, err = f.ReadAt(buf, 5000)
	require.NoError(t, err)
	require.Equal(t, "stored", string(buf))
}

// testMapGrows: mappings made before and after a file grew see the same bytes, and it may grow under them.
func testMapGrows(t *testing.T, fsys disk.FS, dir string) {
	f := create(t, fsys, filepath.Join(dir, "f"), "abc")
	defer f.Close()
	small, err := f.Map(3, true)
	require.NoError(t, err)
	require.NoError(t, f.Allocate(10<<20))
	big, err := f.Map(10<<20, false)
	require.NoError(t, err)
	small.Bytes()[1] = 'X'
	require.Equal(t, "aXc", string(big.Bytes()[:3]))
	_, err = f.WriteAt([]byte("end"), 10<<20-3)
	require.NoError(t, err)
	require.Equal(t, "end", string(big.Bytes()[10<<20-3:]))
	require.NoError(t, big.Unmap())
	small.Bytes()[2] = 'Y'
	buf := make([]byte, 3)
	_, err = f.ReadAt(buf, 0)
	require.NoError(t, err)
	require.Equal(t, "aXY", string(buf))
	require.NoError(t, small.Unmap())
}

// testLock: one holder at a time, in one process too, until Close.
func testLock(t *testing.T, fsys disk.FS, dir string) {
	name := filepath.Join(dir, "lock")
	held, err := fsys.Lock(name)
	require.NoError(t, err)
	_, err = fsys.Lock(name)
	require.ErrorIs(t, err, disk.ErrLocked)
	require.ErrorContains(t, err, name)
	require.NoError(t, held.Close())
	require.Error(t, held.Close())
	held, err = fsys.Lock(name)
	require.NoError(t, err)
	require.NoError(t, held.Close())
	_, err = fsys.Stat(name)
	require.NoError(t, err)
	_, err = fsys.Lock(filepath.Join(dir, "missing", "lock"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// testHelpers: the helpers work, also over what an earlier crash left, and leave nothing behind.
func testHelpers(t *testing.T, fsys disk.FS, dir string) {
	name := filepath.Join(dir, "f")
	create(t, fsys, name+disk.TempSuffix, "left by a crash, and longer than the new one").Close()
	require.NoError(t, disk.WriteFileAtomic(fsys, name, []byte("one")))
	contains(t, fsys, name, "one")
	require.NoError(t, disk.WriteFileAtomic(fsys, name, nil))
	contains(t, fsys, name, "")
	require.NoError(t, disk.Probe(fsys, dir))
	entries, err := fsys.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.ErrorIs(t, disk.Probe(fsys, filepath.Join(dir, "x")), fs.ErrNotExist)
	require.ErrorIs(t, disk.MkdirAllSync(fsys, filepath.Join(name, "x"), 0o755), unix.ENOTDIR)
	_, err = disk.ReadFile(fsys, filepath.Join(dir, "x"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// testConcurrent: goroutines with files of their own and with parts of a common one don't disturb each other.
func testConcurrent(t *testing.T, fsys disk.FS, dir string) {
	common := create(t, fsys, filepath.Join(dir, "common"), "")
	defer common.Close()
	const workers, piece = 8, 3000
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			data := bytes.Repeat([]byte{byte(w + 1)}, piece)
			_, err := common.WriteAt(data, int64(w*piece))
			own := filepath.Join(dir, fmt.Sprint(w))
			for range 10 {
				err = errors.Join(err, common.Sync(), disk.WriteFileAtomic(fsys, own, data))
			}
			_, rerr := common.ReadAt(data, int64(w*piece))
			errs[w] = errors.Join(err, rerr, fsys.Remove(own))
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	all, err := disk.ReadFile(fsys, filepath.Join(dir, "common"))
	require.NoError(t, err)
	for w := range workers {
		require.Equal(t, bytes.Repeat([]byte{byte(w + 1)}, piece), all[w*piece:(w+1)*piece])
	}
}

// testRandom: after any series of operations on a file it holds what a plain slice holds.
func testRandom(t *testing.T, fsys disk.FS, dir string) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := create(t, fsys, filepath.Join(dir, "f"), "")
	defer f.Close()
	var model []byte
	grow := func(size int) { model = append(model, make([]byte, max(0, size-len(model)))...) }
	for i := range 1000 {
		at := rng.IntN(40000)
		switch rng.IntN(8) {
		case 0:
			require.NoError(t, f.Truncate(int64(at)))
			grow(at)
			model = model[:at:at]
		case 1:
			require.NoError(t, f.Allocate(int64(at)))
			grow(at)
		case 2:
			m, err := f.Map(int64(len(model)), true)
			require.NoError(t, err)
			require.True(t, bytes.Equal(model, m.Bytes()), "step %d", i)
			if at < len(model) {
				m.Bytes()[at]++
				model[at]++
				require.NoError(t, m.SyncRange(int64(at), 1))
			}
			require.NoError(t, m.Unmap())
		default:
			p := make([]byte, rng.IntN(9000))
			for j := range p {
				p[j] = byte(rng.Uint32())
			}
			_, err := f.WriteAt(p, int64(at))
			require.NoError(t, err)
			if len(p) > 0 {
				grow(at + len(p))
				copy(model[at:], p)
			}
		}
		size(t, f, int64(len(model)))
	}
	got, err := disk.ReadFile(fsys, filepath.Join(dir, "f"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(model, got))
}

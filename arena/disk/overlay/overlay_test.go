package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk"
)

// The same random operations on an overlay over a directory and on a copy of that directory have the same results
// and leave the same tree, and the directory below the overlay stays as it was.
func TestSameAsTheFilesThemselves(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			under, copied := filepath.Join(t.TempDir(), "under"), filepath.Join(t.TempDir(), "copied")
			for _, dir := range []string{under, copied} {
				fill(t, dir)
			}
			before := tree(t, disk.OS, under, "")
			o := New(disk.OS)
			require.NoError(t, o.Mount("/m/x", under))
			for range 300 {
				op, a, b := r.IntN(9), anyName(r), anyName(r)
				off, n := r.Int64N(3*blockSize), r.IntN(2*blockSize)
				wantErr := apply(disk.OS, copied, op, a, b, off, n)
				gotErr := apply(o, "/m/x", op, a, b, off, n)
				require.Equal(t, wantErr == nil, gotErr == nil, "op %d %s %s: %v, want %v", op, a, b, gotErr, wantErr)
				for _, kind := range []error{fs.ErrNotExist, fs.ErrExist} {
					require.Equal(t, errors.Is(wantErr, kind), errors.Is(gotErr, kind), "op %d %s %s: %v, want %v", op, a, b, gotErr, wantErr)
				}
			}
			require.Equal(t, tree(t, disk.OS, copied, ""), tree(t, o, "/m/x", ""))
			require.Equal(t, before, tree(t, disk.OS, under, ""))
		})
	}
}

func fill(t *testing.T, dir string) {
	r := rand.New(rand.NewPCG(7, 7))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "d"), 0o755))
	for _, name := range []string{"a", "b", "d/a", "d/b"} {
		data := make([]byte, r.IntN(3*blockSize))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
}

func anyName(r *rand.Rand) string {
	dir := []string{"", "d", "e"}[r.IntN(3)]
	return filepath.Join(dir, string(rune('a'+r.IntN(5))))
}

func apply(fsys disk.FS, dir string, op int, a, b string, off int64, n int) error {
	a, b = filepath.Join(dir, a), filepath.Join(dir, b)
	change := func(do func(disk.File) error) error {
		f, err := fsys.OpenRW(a)
		if err != nil {
			return err
		}
		return errors.Join(do(f), f.Close())
	}
	switch op {
	case 0, 1:
		return change(func(f disk.File) error {
			_, err := f.WriteAt(bytes.Repeat([]byte{byte(n)}, n), off)
			return err
		})
	case 2:
		return change(func(f disk.File) error { return f.Truncate(off) })
	case 3:
		return change(func(f disk.File) error { return f.Allocate(off) })
	case 4:
		f, err := fsys.Create(a)
		if err != nil {
			return err
		}
		return f.Close()
	case 5:
		return fsys.Remove(a)
	case 6:
		if fi, err := fsys.Stat(b); a == b || err == nil && fi.IsDir() {
			return nil // what then is possible differs from system to system
		}
		if fi, err := fsys.Stat(a); err == nil && fi.IsDir() {
			return nil
		}
		return fsys.Rename(a, b)
	case 7:
		if fi, err := fsys.Stat(a); err == nil && fi.IsDir() {
			return nil
		}
		return fsys.Link(a, b)
	default:
		return fsys.MkdirAll(filepath.Dir(a), 0o755)
	}
}

// tree reads everything below a directory, half of the files through a mapping.
func tree(t *testing.T, fsys disk.FS, dir, at string) map[string]string {
	t.Helper()
	entries, err := fsys.ReadDir(filepath.Join(dir, at))
	require.NoError(t, err)
	out := map[string]string{}
	for i, e := range entries {
		name := filepath.Join(at, e.Name())
		if e.IsDir() {
			out[name] = "directory"
			for k, v := range tree(t, fsys, dir, name) {
				out[k] = v
			}
			continue
		}
		f, err := fsys.Open(filepath.Join(dir, name))
		require.NoError(t, err)
		size, err := f.Size()
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, size, info.Size())
		if i%2 == 0 && size > 0 {
			m, err := f.Map(size, false)
			require.NoError(t, err)
			out[name] = string(m.Bytes())
			require.NoError(t, m.Unmap())
		} else {
			data := make([]byte, size+1)
			n, err := f.ReadAt(data, 0)
			require.ErrorIs(t, err, io.EOF)
			out[name] = string(data[:n])
		}
		require.NoError(t, f.Close())
	}
	return out
}

// A handle from Open refuses to write, and a closed one everything.
func TestHandles(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644))
	o := New(disk.OS)
	require.NoError(t, o.Mount("/d", dir))
	f, err := o.Open("/d/f")
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("y"), 0)
	require.ErrorIs(t, err, fs.ErrPermission)
	require.NoError(t, f.Close())
	_, err = f.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, f.Close(), fs.ErrClosed)
}

// Changes names what differs from below and nothing else: bytes that were written as they stood are no change.
func TestChanges(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"cut", "same", "written", "grown", "removed", "replaced", "sub/cut", "gone/x", "untouched"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("0123456789"), 20_000), 0o644))
	}
	o := New(disk.OS)
	require.NoError(t, o.Mount("/m", dir))
	change := func(name string, do func(disk.File) error) {
		f, err := o.OpenRW(filepath.Join("/m", name))
		require.NoError(t, err)
		require.NoError(t, do(f))
		require.NoError(t, f.Close())
	}
	write := func(b string, off int64) func(disk.File) error {
		return func(f disk.File) error { _, err := f.WriteAt([]byte(b), off); return err }
	}
	for _, name := range []string{"cut", "sub/cut"} {
		change(name, func(f disk.File) error { return f.Truncate(70_000) })
	}
	change("cut", write("345", 69_993))
	change("same", write("45678", 100_004))
	change("written", write("45x78", 100_004))
	change("grown", write("0", 200_000))
	require.NoError(t, o.Remove("/m/removed"))
	require.NoError(t, o.RemoveAll("/m/gone"))
	require.NoError(t, o.Remove("/m/replaced"))
	for _, name := range []string{"/m/replaced", "/m/sub/new"} {
		f, err := o.Create(name)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	got, err := o.Changes("/m")
	require.NoError(t, err)
	require.Equal(t, []Change{
		{"/m/cut", Cut, 70_000},
		{"/m/gone", Removed, 0},
		{"/m/grown", Written, 200_000},
		{"/m/removed", Removed, 0},
		{"/m/replaced", Replaced, 0},
		{"/m/sub/cut", Cut, 70_000},
		{"/m/sub/new", Created, 0},
		{"/m/written", Written, 100_006},
	}, got)
}

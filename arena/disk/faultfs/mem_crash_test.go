package faultfs

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
)

// outcomes cuts the power many times and returns all that was ever found, each as "name=contents" or "name/" joined by spaces.
func outcomes(t *testing.T, m *Mem) []string {
	t.Helper()
	seen := map[string]bool{}
	for seed := range uint64(500) {
		var files []string
		for name, data := range dump(t, m.Crash(rand.New(rand.NewPCG(seed, 0))), "/") {
			if data == "directory" {
				data = "/"
			} else {
				data = "=" + data
			}
			files = append(files, strings.TrimPrefix(name, "/")+data)
		}
		slices.Sort(files)
		seen[strings.Join(files, " ")] = true
	}
	return sorted(seen)
}

func sorted(set map[string]bool) []string {
	all := []string{}
	for s := range set {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// TestCrashNames tells for each sequence of changes of names what a power cut may leave of it. "|" stands for a
// SyncDir of the root, "|/d" for one of that directory.
func TestCrashNames(t *testing.T) {
	for _, c := range []struct {
		script string
		want   []string
	}{
		{"create a", []string{"", "a=a"}},
		{"create a |", []string{"a=a"}},
		{"create a create b", []string{"", "a=a", "a=a b=b", "b=b"}},
		{"create a | remove a", []string{"", "a=a"}},
		{"create a | remove a |", []string{""}},
		{"create a remove a", []string{"", "a=a"}}, // the removal may be lost, the creation not
		{"create a | link a b", []string{"a=a", "a=a b=a"}},
		{"create a | link a b remove a", []string{"", "a=a", "a=a b=a", "b=a"}},
		{"create a | rename a b", []string{"a=a", "b=a"}},
		{"create a create b | rename a b", []string{"a=a b=b", "b=a"}},
		{"create b | create a rename a b", []string{"a=a b=b", "b=a", "b=b"}},
		{"create a create b | rename a c rename b a", []string{"a=a b=b", "a=b c=a", "b=b c=a"}},
		{"create a | rename a b rename b c", []string{"a=a", "b=a", "c=a"}},
		{"mkdir d |/d create d/a |/d", []string{"", "d/ d/a=a"}},
		{"mkdir d | create d/a", []string{"d/", "d/ d/a=a"}},
		{"mkdir d create a | rename a d/a", []string{"a=a d/", "d/ d/a=a"}},
		{"mkdir d create a | rename a d/a |", []string{"d/ d/a=a"}},
		{"mkdir d create a | rename a d/a |/d", []string{"d/ d/a=a"}},
		{"create a | mkdir d rename a d/a", []string{"a=a", "a=a d/", "d/ d/a=a"}},
		{"create a | mkdir d rename a d/a |/d", []string{"d/ d/a=a"}},
		{"mkdir d create d/a | |/d rename d e", []string{"d/ d/a=a", "e/ e/a=a"}},
		{"mkdir d create d/a | |/d rename d/a a remove d |", []string{"a=a"}},
		{"mkdir d create d/a | |/d rename d/a a remove d", []string{"a=a", "a=a d/", "d/ d/a=a"}},
		{"mkdir d create a create d/b | |/d rename d/b d/c rename a d/b |", []string{"d/ d/b=a d/c=b"}},
		{"mkdir d create d/a | |/d remove d/a remove d", []string{"", "d/", "d/ d/a=a"}},
		{"mkdir d create d/a | |/d remove d/a remove d |", []string{""}},
	} {
		m := NewMem()
		args := strings.Fields(c.script)
		arg := func() string { args = args[1:]; return "/" + args[0] }
		for ; len(args) > 0; args = args[1:] {
			switch verb := args[0]; verb {
			case "create":
				name := arg()
				f := create(t, m, name, name[strings.LastIndex(name, "/")+1:])
				require.NoError(t, f.Sync())
				require.NoError(t, f.Close())
			case "mkdir":
				require.NoError(t, m.MkdirAll(arg(), 0o755))
			case "remove":
				require.NoError(t, m.Remove(arg()))
			case "rename":
				require.NoError(t, m.Rename(arg(), arg()))
			case "link":
				require.NoError(t, m.Link(arg(), arg()))
			default:
				require.NoError(t, m.SyncDir("/"+strings.TrimPrefix(verb, "|")))
			}
		}
		require.Equal(t, c.want, outcomes(t, m), c.script)
	}
}

// TestCrashContents tells for each thing that can happen to a file of two blocks what a power cut may leave of
// it: a letter a block (two where its halves differ), a dot for zeros, and nothing where the file is shorter.
func TestCrashContents(t *testing.T) {
	block := func(c string) []byte { return bytes.Repeat([]byte(c), blockSize) }
	for name, c := range map[string]struct {
		do   func(m *Mem, f disk.File) error
		want []string
	}{
		"nothing":   {func(*Mem, disk.File) error { return nil }, []string{"AB"}},
		"overwrite": {func(_ *Mem, f disk.File) error { return write(f, 1, block("X")) }, []string{"AB", "AX"}},
		"overwrite both": {func(_ *Mem, f disk.File) error {
			return write(f, 0, block("X"), block("Y"))
		}, []string{"AB", "AY", "XB", "XY"}},
		"overwrite and sync": {func(_ *Mem, f disk.File) error {
			return first(write(f, 1, block("X")), f.Sync())
		}, []string{"AX"}},
		"append": {func(_ *Mem, f disk.File) error { return write(f, 2, block("X")) }, []string{"AB", "AB.", "ABX"}},
		"append behind a hole": {func(_ *Mem, f disk.File) error {
			return write(f, 3, block("X"))
		}, []string{"AB", "AB.", "AB..", "AB.X"}},
		"cut":          {func(_ *Mem, f disk.File) error { return f.Truncate(blockSize) }, []string{"A", "AB"}},
		"cut and sync": {func(_ *Mem, f disk.File) error { return first(f.Truncate(blockSize), f.Sync()) }, []string{"A"}},
		"cut and grow": {func(_ *Mem, f disk.File) error {
			return first(f.Truncate(blockSize), f.Truncate(2*blockSize))
		}, []string{"A", "A.", "AB"}},
		"cut, grow and sync": {func(_ *Mem, f disk.File) error {
			return first(f.Truncate(blockSize), f.Truncate(2*blockSize), f.Sync())
		}, []string{"A."}},
		"cut inside a block, grow and sync": {func(_ *Mem, f disk.File) error {
			return first(f.Truncate(blockSize*3/2), f.Truncate(2*blockSize), f.Sync())
		}, []string{"AB."}},
		"cut and write": {func(_ *Mem, f disk.File) error {
			return first(f.Truncate(blockSize), write(f, 1, block("X")))
		}, []string{"A", "A.", "AB", "AX"}},
		"allocate": {func(_ *Mem, f disk.File) error { return f.Allocate(3 * blockSize) }, []string{"AB", "AB."}},
		"store": {func(_ *Mem, f disk.File) error {
			return store(f, func(m disk.Mapping) error { copy(m.Bytes(), block("X")); return nil })
		}, []string{"AB", "XB"}},
		"store and sync the range": {func(_ *Mem, f disk.File) error {
			return store(f, func(m disk.Mapping) error {
				copy(m.Bytes(), block("X"))
				copy(m.Bytes()[blockSize:], block("Y"))
				return m.SyncRange(100, 1)
			})
		}, []string{"XB", "XY"}},
		"store and sync the file": {func(_ *Mem, f disk.File) error {
			return first(store(f, func(m disk.Mapping) error { copy(m.Bytes(), block("X")); return nil }), f.Sync())
		}, []string{"XB"}},
		"store and sync the file while it is mapped": {func(_ *Mem, f disk.File) error {
			return store(f, func(m disk.Mapping) error { copy(m.Bytes(), block("X")); return f.Sync() })
		}, []string{"XB"}},
		"cut, grow, store and sync the range": {func(_ *Mem, f disk.File) error {
			return first(f.Truncate(0), f.Allocate(2*blockSize), store(f, func(m disk.Mapping) error {
				copy(m.Bytes(), slices.Concat(block("X"), block("Y")))
				return m.SyncRange(0, 2*blockSize)
			}))
		}, []string{"XY"}},
		"fail to sync, then sync": {func(m *Mem, _ disk.File) error {
			f := syncFails(m)
			return first(write(f, 0, block("X")), unless(f.Sync()), f.Sync())
		}, []string{"AB", "XB"}},
		"fail to sync, write again and sync": {func(m *Mem, _ disk.File) error {
			f := syncFails(m)
			return first(write(f, 0, block("X")), unless(f.Sync()), write(f, 0, block("X")), f.Sync())
		}, []string{"XB"}},
		"fail to sync, write again, sync, store and sync": {func(m *Mem, _ disk.File) error {
			f := syncFails(m)
			return first(write(f, 0, block("X")), unless(f.Sync()), write(f, 0, block("X")), f.Sync(),
				store(f, func(m disk.Mapping) error { copy(m.Bytes(), block("Y")); return nil }), f.Sync())
		}, []string{"YB"}},
		"fail to sync the range, then sync": {func(m *Mem, _ disk.File) error {
			f := syncFails(m)
			return store(f, func(m disk.Mapping) error {
				copy(m.Bytes(), block("X"))
				return first(unless(m.SyncRange(0, blockSize)), m.SyncRange(0, blockSize), f.Sync())
			})
		}, []string{"AB", "XB"}},
	} {
		m := NewMem()
		f := create(t, m, "/f", string(block("A"))+string(block("B")))
		require.NoError(t, f.Sync())
		require.NoError(t, m.SyncDir("/"))
		require.NoError(t, c.do(m, f), name)
		seen := map[string]bool{}
		for seed := range uint64(1000) {
			data, err := disk.ReadFile(m.Crash(rand.New(rand.NewPCG(seed, 0))), "/f")
			require.NoError(t, err)
			s := ""
			for b := range slices.Chunk(data, blockSize) {
				s += strings.ReplaceAll(string(slices.Compact(b)), "\x00", ".")
			}
			seen[s] = true
		}
		require.Equal(t, c.want, sorted(seen), name)
	}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func write(f disk.File, at int64, blocks ...[]byte) error {
	_, err := f.WriteAt(slices.Concat(blocks...), at*blockSize)
	return err
}

func store(f disk.File, do func(disk.Mapping) error) error {
	m, err := f.Map(2*blockSize, true)
	if err != nil {
		return err
	}
	return first(do(m), m.Unmap())
}

// syncFails opens the file so that its first sync fails.
func syncFails(m *Mem) disk.File {
	f, err := Inject(m, &Rule{Kinds: Sync | SyncRange, Times: 1, Err: unix.EIO}).OpenRW("/f")
	if err != nil {
		panic(err)
	}
	return f
}

// unless is the error that there was none.
func unless(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return nil
}

// TestCrashIsDurable shows that what a power cut left counts as synced, that the same seed leaves the same, and
// that the disk works on: it is as full as its files.
func TestCrashIsDurable(t *testing.T) {
	m := NewMem()
	for i := range 20 {
		dir := fmt.Sprint("/", i%4)
		require.NoError(t, m.MkdirAll(dir, 0o755))
		f := create(t, m, fmt.Sprint(dir, "/", i), strings.Repeat("x", 10000))
		if i%2 == 0 {
			require.NoError(t, f.Sync())
		}
	}
	m.SetCapacity(1000 * blockSize)
	for seed := range uint64(50) {
		after := m.Crash(rand.New(rand.NewPCG(seed, 0)))
		files := dump(t, after, "/")
		require.Equal(t, files, dump(t, m.Crash(rand.New(rand.NewPCG(seed, 0))), "/"))
		require.Equal(t, files, dump(t, after.Crash(rand.New(rand.NewPCG(seed, 1))), "/"))
		used := 0
		for _, data := range files {
			if data != "directory" {
				used += int(blocksOf(int64(len(data))))
			}
		}
		require.Equal(t, 1000-used, free(t, after)/blockSize)
		require.NoError(t, disk.WriteFileAtomic(after, "/new", []byte("new")))
	}
}

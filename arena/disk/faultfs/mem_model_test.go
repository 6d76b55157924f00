package faultfs

import (
	"fmt"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk"
)

// TestCrashModel does random changes of names, with power cuts in between, and shows of every cut: a file is
// found under one name at most, one that it had; a file whose name was durable once is there, unless the program
// removed or replaced it; and where nothing was done to it since, it has that name.
func TestCrashModel(t *testing.T) {
	for seed := range uint64(300) {
		w := &names{t: t, rng: rand.New(rand.NewPCG(seed, 1)), mem: NewMem(), dirs: map[string]*dirModel{"/": {safe: true}}}
		for range 40 {
			w.step()
			if w.rng.IntN(4) == 0 {
				w.check(w.mem.Crash(w.rng), seed)
			}
			if w.rng.IntN(10) == 0 {
				w.mem = w.mem.Kill() // changes nothing of all this
			}
		}
	}
}

// names is the model: what the program sees, and what it may rely on.
type names struct {
	t     *testing.T
	rng   *rand.Rand
	mem   *Mem
	dirs  map[string]*dirModel
	files []*fileModel
}

type dirModel struct {
	safe bool // its own name is durable
}

type fileModel struct {
	name string   // "" once it was removed or replaced
	past []string // all names it ever had
	kept bool     // SyncDir was called on its directory while it was there
	safe bool     // and that directory was safe, then or later
}

func (w *names) step() {
	dir := []string{"/", "/d", "/e", "/d/f"}[w.rng.IntN(4)]
	name := path.Join(dir, []string{"x", "y", "z"}[w.rng.IntN(3)])
	f := w.at(name)
	switch w.rng.IntN(10) {
	case 0:
		require.NoError(w.t, w.mem.MkdirAll(dir, 0o755))
		for d := dir; w.dirs[d] == nil; d = path.Dir(d) {
			w.dirs[d] = &dirModel{}
		}
	case 1, 2, 3:
		data := fmt.Sprint(len(w.files))
		c, err := w.mem.Create(name)
		require.Equal(w.t, w.dirs[dir] != nil && f == nil, err == nil)
		if err != nil {
			return
		}
		_, err = c.WriteAt([]byte(data), 0)
		require.NoError(w.t, first(err, c.Sync(), c.Close()))
		w.files = append(w.files, &fileModel{name: name, past: []string{name}})
	case 4:
		require.Equal(w.t, f != nil, w.mem.Remove(name) == nil)
		if f != nil {
			f.name = ""
		}
	case 5, 6, 7:
		if f == nil {
			return
		}
		to := path.Join([]string{"/", "/d", "/e", "/d/f"}[w.rng.IntN(4)], "x")
		err := w.mem.Rename(name, to)
		require.Equal(w.t, w.dirs[path.Dir(to)] != nil, err == nil)
		if err != nil || to == name {
			return
		}
		if old := w.at(to); old != nil {
			old.name = ""
		}
		f.name, f.kept = to, false
		f.past = append(f.past, to)
	case 8:
		if dir == "/" || w.rng.IntN(3) > 0 {
			return
		}
		require.NoError(w.t, w.mem.RemoveAll(dir))
		for d := range w.dirs {
			if d == dir || path.Dir(d) == dir {
				delete(w.dirs, d)
			}
		}
		for _, f := range w.files {
			if f.name != "" && w.dirs[path.Dir(f.name)] == nil {
				f.name = ""
			}
		}
	case 9:
		require.Equal(w.t, w.dirs[dir] != nil, w.mem.SyncDir(dir) == nil)
		w.synced(dir)
	}
}

func (w *names) at(name string) *fileModel {
	for _, f := range w.files {
		if f.name == name {
			return f
		}
	}
	return nil
}

func (w *names) synced(dir string) {
	if w.dirs[dir] == nil {
		return
	}
	if w.dirs[dir].safe {
		for name, d := range w.dirs {
			if path.Dir(name) == dir {
				w.safe(name, d)
			}
		}
	}
	for _, f := range w.files {
		if f.name != "" && path.Dir(f.name) == dir {
			f.kept = true
			f.safe = f.safe || w.dirs[dir].safe
		}
	}
}

// safe notes that a directory has a durable name, and so have the files and directories synced in it before.
func (w *names) safe(name string, d *dirModel) {
	d.safe = true
	for _, f := range w.files {
		if f.name != "" && path.Dir(f.name) == name && f.kept {
			f.safe = true
		}
	}
}

func (w *names) check(after *Mem, seed uint64) {
	found := map[string][]string{}
	for name, data := range dump(w.t, after, "/") {
		found[data] = append(found[data], name)
	}
	for i, f := range w.files {
		where := found[fmt.Sprint(i)]
		require.LessOrEqual(w.t, len(where), 1, "seed %d: file %d is at %v", seed, i, where)
		require.Subset(w.t, f.past, where, "seed %d", seed)
		if f.safe && f.name != "" {
			require.Len(w.t, where, 1, "seed %d: file %d, last at %s, is gone", seed, i, f.name)
		}
		if f.kept && f.safe && f.name != "" {
			require.Equal(w.t, []string{f.name}, where, "seed %d: nothing was done to it since it was synced", seed)
		}
	}
	require.NoError(w.t, disk.MkdirAllSync(after, "/d/f", 0o755))
	require.NoError(w.t, disk.Probe(after, "/d/f"))
}

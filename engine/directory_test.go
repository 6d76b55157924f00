package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
	"github.com/rekindledb/rekindle/ckpt"
)

// tree is every file below a directory with its contents, but for what belongs to whoever holds it now.
func tree(t testing.TB, fsys disk.FS, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := fsys.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if e.IsDir() {
			for k, v := range tree(t, fsys, name) {
				out[filepath.Join(e.Name(), k)] = v
			}
			continue
		}
		data, err := disk.ReadFile(fsys, name)
		require.NoError(t, err)
		out[e.Name()] = string(data)
	}
	return out
}

// asideOf is the tenant t that was set aside last.
func asideOf(t testing.TB, c Config) string {
	t.Helper()
	entries, err := c.FS.ReadDir(filepath.Join(c.Dir, asideDir))
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	return filepath.Join(c.Dir, asideDir, entries[len(entries)-1].Name(), "t")
}

// The log and recovery switched on and off in all four ways, over a directory that holds data: what is answered, what
// is on disk afterwards, and that nothing is ever deleted: what is set aside answers again when it is put back.
func TestLogAndRecoverySwitches(t *testing.T) {
	for _, wal := range []bool{true, false} {
		for _, recover := range []bool{true, false} {
			mem, j := faultfs.NewMem(), newJournal()
			c := memConfig(t, mem, byHand)
			e := start(t, c)
			for k := range 130 { // some chunks are closed
				require.NoError(t, j.push(t, e, "t", offers(20, k)...))
			}
			imageAll(t, e)
			require.NoError(t, j.push(t, e, "t", offers(30, 130)...))
			stored := contents(t, e, "t")
			require.NoError(t, e.Close())
			before := tree(t, mem, "/data/t")

			now := c
			now.WAL, now.Recover = wal, recover
			e = start(t, now)
			if recover {
				require.Equal(t, stored, contents(t, e, "t"))
			} else {
				require.Empty(t, contents(t, e, "t"))
			}
			for k := 131; k < 300; k++ {
				require.NoError(t, j.push(t, e, "t", offers(35, k)...))
			}
			after := contents(t, e, "t")
			require.Len(t, after[pod(34).String()], 169)
			require.NoError(t, e.Close())

			if !wal || !recover {
				aside := asideOf(t, now)
				for name, data := range tree(t, mem, aside) {
					old, known := before[name]
					require.True(t, !known || old == data || name == "catalogue", "%s changed when it was set aside", name)
					delete(before, name)
				}
				require.Empty(t, before, "files are missing from what was set aside")
				require.NoError(t, mem.RemoveAll("/data/t"))
				require.NoError(t, mem.Rename(aside, "/data/t"))
				e = start(t, c)
				require.Equal(t, stored, contents(t, e, "t"))
				require.NoError(t, e.Close())
				continue
			}
			e = start(t, c)
			require.Equal(t, after, contents(t, e, "t"))
			require.NoError(t, e.Close())
		}
	}
}

// Without the log nothing is left of what was pushed, and nothing of it is in the way of the next start.
func TestMemoryOnly(t *testing.T) {
	var said bytes.Buffer
	mem, j := faultfs.NewMem(), newJournal()
	c := memConfig(t, mem, func(c *Config) {
		c.WAL = false
		c.Logger = slog.New(slog.NewTextHandler(&said, nil))
	})
	e := start(t, c)
	for k := range 300 {
		require.NoError(t, j.push(t, e, "t", offers(20, k)...))
	}
	require.NoError(t, e.Tenant("t").flushChunks())
	require.Equal(t, 300*20, count(contents(t, e, "t")))
	require.NoError(t, e.Close())
	require.Equal(t, 1, strings.Count(said.String(), "level=WARN"), "one warning: %s", said.String())
	require.Contains(t, said.String(), "-ingester.wal-enabled")

	c.WAL = true
	e = start(t, c)
	require.Empty(t, contents(t, e, "t"))
	require.NoError(t, e.Close())
	for name := range tree(t, mem, "/data") {
		require.True(t, strings.HasPrefix(name, ownDir), name)
	}
}

// With images switched off none is written, at a stop neither; those that are there are used.
func TestCheckpointsOff(t *testing.T) {
	mem, j := faultfs.NewMem(), newJournal()
	off := memConfig(t, mem, byHand, func(c *Config) { c.Checkpoint = false })
	life := func(c Config, k int) *Engine {
		e := start(t, c)
		require.NoError(t, j.push(t, e, "t", offers(20, k)...))
		return e
	}
	require.NoError(t, life(off, 0).Close())
	_, err := mem.Stat("/data/t/images")
	require.ErrorIs(t, err, os.ErrNotExist)
	on := off
	on.Checkpoint = true
	require.NoError(t, life(on, 1).Close())
	images := tree(t, mem, "/data/t/images")
	require.NotEmpty(t, images)
	e := life(off, 2)
	require.Positive(t, e.Tenant("t").recovered.ImageBytes)
	require.NoError(t, e.Close())
	require.Equal(t, images, tree(t, mem, "/data/t/images"))
	require.NoError(t, j.killed(mem, "the end").check(t, j, off, "t").Close())
}

// A second process is refused at once and told who holds the directory and since when; it changes nothing. When the
// first one ends, the lock is free.
func TestSecondProcess(t *testing.T) {
	c := testConfig(t, func(c *Config) { c.Instance = "ingester-7" })
	e := start(t, c)
	_, err := Open(c)
	var locked *LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, c.Dir, locked.Dir)
	for _, word := range []string{"ingester-7", "process", c.Now().UTC().Format("2006-01-02"), c.Dir, "stop that process"} {
		require.ErrorContains(t, err, word)
	}
	var b Batch
	add(&b, pod(1), sample(testNow.UnixMilli(), 1))
	push(t, e, "t", &b)
	require.NoError(t, e.Close())
	require.NoError(t, start(t, c).Close())
}

// The directory knows whose it is. Another instance is refused only if an operator named it, it is told what to do,
// and taking over is remembered; a directory of a newer format or with a damaged instance file is refused.
func TestWhoseDirectory(t *testing.T) {
	c := testConfig(t, func(c *Config) { c.Instance = "a" })
	open := func(instance string, given, adopt bool) (*Engine, error) {
		c.Instance, c.InstanceGiven, c.Adopt = instance, given, adopt
		return Open(c)
	}
	belongs := func(want string) func(*Engine, error) {
		return func(e *Engine, err error) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, want, e.Instance())
			require.NoError(t, e.Close())
		}
	}
	belongs("a")(open("a", false, false))
	belongs("a")(open("b", false, false))
	belongs("a")(open("a", true, false))
	_, err := open("b", true, false)
	require.ErrorIs(t, err, ErrWrongDirectory)
	require.ErrorContains(t, err, "-ingester.adopt-dir")
	belongs("b")(open("b", true, true))
	_, err = open("a", true, false)
	require.ErrorIs(t, err, ErrWrongDirectory)
	belongs("b")(open("whatever", false, false))

	file := filepath.Join(c.Dir, ownDir, instanceFile)
	newer, err := json.Marshal(instance{Format: directoryFormat + 1, Instance: "b"})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, newer, 0o600))
	_, err = open("b", false, false)
	require.ErrorContains(t, err, "newer version")
	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	_, err = open("b", false, false)
	require.ErrorContains(t, err, "damaged")
	require.ErrorContains(t, err, instanceFile)
}

// Files of a newer layout, or of a generation that places series in another way, are refused in words that say what to
// do, and not a byte of the tenant is changed.
func TestNewerLayoutsAreRefused(t *testing.T) {
	chunks := func(t *testing.T, c Config) {
		for name := range chunkBytes(t, c) {
			h := fileHead{stripe: 0, generation: 1, id: 1}.append(nil)
			h[8]++
			h = resum(h)
			f, err := c.FS.OpenRW(filepath.Join(c.Dir, "t", chunksDir, name))
			require.NoError(t, err)
			_, err = f.WriteAt(h, 0)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
	}
	image := func(change func(*ckpt.Meta)) func(t *testing.T, c Config) {
		return func(t *testing.T, c Config) {
			store, err := ckpt.Open(ckpt.Config{FS: c.FS, Dir: "/data/t", Logger: quietLogger}, "t")
			require.NoError(t, err)
			w := store.Begin(0)
			s := stripe{reserve: 1 << 20}
			require.NoError(t, s.open())
			runs := copyOf(s.a, uint8(w.Slot))
			meta := ckpt.Meta{Commit: store.Catalogue().SyncedThrough, Extents: uint32(s.a.Size() / 4096), Layout: arenaLayout}
			change(&meta)
			require.NoError(t, w.Write(meta, runs))
			require.NoError(t, w.Walk(func([]byte) error { return nil }))
			require.NoError(t, w.Sync())
			require.NoError(t, store.Publish(ckpt.Update{Images: []*ckpt.Writer{w}}))
			require.NoError(t, store.Close())
			require.NoError(t, s.detach())
		}
	}
	foreign := func(id ckpt.Identity) func(t *testing.T, c Config) {
		return func(t *testing.T, c Config) {
			require.NoError(t, c.FS.Remove("/data/t/catalogue"))
			require.NoError(t, c.FS.RemoveAll("/data/t/images"))
			id.Tenant, id.Generation, id.Stripes = "t", 1, 1
			store, err := ckpt.Create(ckpt.Config{FS: c.FS, Dir: "/data/t", Logger: quietLogger}, id)
			require.NoError(t, err)
			require.NoError(t, store.Close())
		}
	}
	for name, tc := range map[string]struct {
		change func(t *testing.T, c Config)
		says   string
	}{
		"chunk files":       {chunks, "start the version that wrote"},
		"image":             {image(func(m *ckpt.Meta) { m.Layout++ }), "newer version"},
		"another hash":      {foreign(ckpt.Identity{HashID: hashID + 1, RefLayout: refLayout}), "unknown to this version"},
		"another reference": {foreign(ckpt.Identity{HashID: hashID, RefLayout: refLayout + 1}), "unknown to this version"},
	} {
		t.Run(name, func(t *testing.T) {
			mem, j := faultfs.NewMem(), newJournal()
			c := memConfig(t, mem, byHand, func(c *Config) { c.Stripes = 1 })
			e := start(t, c)
			for k := range 150 {
				require.NoError(t, j.push(t, e, "t", offers(5, k)...))
			}
			imageAll(t, e)
			require.NoError(t, e.Close())
			tc.change(t, c)
			before := tree(t, mem, "/data/t")
			e, err := Open(c)
			require.NoError(t, err)
			err = e.Recover(context.Background())
			require.ErrorContains(t, err, tc.says)
			require.ErrorContains(t, err, "/data/t")
			require.ErrorContains(t, e.Progress().Err, tc.says)
			_, err = e.Append(context.Background(), "t", &Batch{})
			require.ErrorIs(t, err, ErrUnavailable)
			require.NoError(t, e.Close())
			require.Equal(t, before, tree(t, mem, "/data/t"))
		})
	}
}

// resum gives a changed header of a chunk file its checksum.
func resum(h []byte) []byte {
	binary.LittleEndian.PutUint32(h[fileHeadSize-4:], crc32.Checksum(h[:fileHeadSize-4], castagnoli))
	return h
}

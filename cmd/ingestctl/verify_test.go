package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/engine"
)

// copyOf is a copy of a directory, to be damaged.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

func edit(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, change(b), 0o644))
}

func flip(off int) func([]byte) []byte {
	return func(b []byte) []byte {
		if off < 0 {
			off += len(b)
		}
		b[off] ^= 0x10
		return b
	}
}

func files(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, names, pattern)
	return names
}

// verify tells clean, torn and damaged directories apart, names the file and what it costs, and changes nothing; and a
// start of the engine then loses something if and only if verify said LOST.
func TestVerify(t *testing.T) {
	clean, _ := testData(t)
	segment := func(dir string, i int) string {
		names := files(t, dir, "team-a/wal/0*")
		return names[(i+len(names))%len(names)]
	}
	for name, c := range map[string]struct {
		harm func(dir string)
		code int
		says []string
	}{
		"clean": {func(string) {}, exitOK, []string{"clean: "}},
		"half a commit at the end": {func(dir string) {
			edit(t, segment(dir, -1), func(b []byte) []byte { return append(b, b[100:777]...) })
		}, exitTorn, []string{"torn", "the last 677 bytes"}},
		"zeros at the end": {func(dir string) {
			edit(t, segment(dir, -1), func(b []byte) []byte { return append(b, make([]byte, 5000)...) })
		}, exitTorn, []string{"torn", "the last 5000 bytes"}},
		"a synced end is gone": {func(dir string) {
			edit(t, segment(dir, -1), func(b []byte) []byte { return b[:len(b)-20] })
		}, exitDamage, []string{"DAMAGE", "LOST"}},
		"a byte of the log": {func(dir string) { edit(t, segment(dir, -2), flip(30_000)) }, exitDamage, []string{"DAMAGE", "LOST", "exact"}},
		"a segment is gone": {func(dir string) { require.NoError(t, os.Remove(segment(dir, -2))) }, exitDamage, []string{"missing", "LOST"}},
		"a byte of all images": {func(dir string) {
			for _, name := range files(t, dir, "team-a/images/0*") {
				edit(t, name, flip(64<<10+5000))
			}
		}, exitDamage, []string{"at byte 69632: image of commit", "extent 1 of", "LOST"}},
		"a byte of a chunk": {func(dir string) { edit(t, files(t, dir, "team-a/chunks/*")[0], flip(500)) }, exitDamage, []string{"team-a/chunks/00-000001 at byte ", "leads to a chunk that cannot be read"}},
		"a chunk file that is too short": {func(dir string) {
			edit(t, files(t, dir, "team-a/chunks/*")[0], func(b []byte) []byte { return b[:2000] })
		}, exitDamage, []string{"the file ends"}},
		"one copy of the catalogue": {func(dir string) { edit(t, ckpt.CataloguePath(dir+"/team-a"), flip(50)) }, exitTorn, []string{"this copy is not intact"}},
		"both copies of the catalogue": {func(dir string) {
			edit(t, ckpt.CataloguePath(dir+"/team-a"), flip(50))
			edit(t, ckpt.CataloguePath(dir+"/team-a"), flip(8<<10+50))
		}, exitDamage, []string{"makes a new catalogue"}},
		"no catalogue": {func(dir string) { require.NoError(t, os.Remove(ckpt.CataloguePath(dir+"/team-a"))) }, exitDamage, []string{"the next start makes a new one"}},
		"a ledger": {func(dir string) {
			require.NoError(t, os.WriteFile(engine.LedgerPath(dir+"/team-a"), []byte("{\"samples\":3}\n{\"sam"), 0o644))
		}, exitTorn, []string{"1 losses that earlier starts", "the last line"}},
		"a backup beside the original": {func(dir string) {
			require.NoError(t, os.CopyFS(dir+"/team-b.bak", os.DirFS(dir+"/team-b")))
		}, exitDamage, []string{"team-b.bak", "no ingester starts"}},
		"somebody else's log": {func(dir string) {
			for _, name := range files(t, dir, "team-a/wal/0*") {
				require.NoError(t, os.Remove(name))
			}
			require.NoError(t, os.CopyFS(dir+"/team-a/wal", os.DirFS(dir+"/team-b/wal")))
		}, exitDamage, []string{"no start is possible", "right volume"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, clean)
			c.harm(dir)
			before := fingerprint(t, dir)
			code, out, errs := ctl(t, "verify", dir)
			require.Equal(t, c.code, code, "%s%s", out, errs)
			for _, text := range c.says {
				require.Contains(t, out, text)
			}
			require.Equal(t, before, fingerprint(t, dir))
			if strings.Contains(out, "no start is possible") || strings.Contains(out, "no ingester starts") {
				e, err := engine.Open(engine.Config{Dir: dir, WAL: true, Recover: true, Logger: quiet})
				require.NoError(t, err)
				require.Error(t, e.Recover(t.Context()))
				require.NoError(t, e.Close())
				return
			}
			require.NoError(t, os.RemoveAll(engine.LedgerPath(dir+"/team-a")))
			require.NoError(t, testEngine(t, dir).Close())
			_, err := os.Stat(engine.LedgerPath(dir + "/team-a"))
			require.Equal(t, strings.Contains(out, "LOST"), err == nil, "%s\nledger: %v", out, err)
			if code == exitTorn { // the start has repaired it
				code, out, _ = ctl(t, "verify", dir)
				require.Equal(t, exitOK, code, out)
			}
		})
	}
}

// Wherever one byte of a file changes verify finds it, but for bytes that mean nothing: room allocated ahead, padding.
func TestVerifySeesEveryFile(t *testing.T) {
	dir, _ := testData(t)
	r := rand.New(rand.NewPCG(3, 3))
	for _, pattern := range []string{"team-a/wal/0*", "team-a/wal/checkpoint*/0*", "team-a/chunks/*", "team-a/images/*"} {
		names := files(t, dir, pattern)
		for range 12 {
			name := names[r.IntN(len(names))]
			size := int(sizeOf(name))
			if strings.Contains(pattern, "images") {
				info, err := ckpt.ReadSlot(disk.OS, name)
				require.NoError(t, err)
				size = int(info.TableOffset) + int(info.Extents)*8
			}
			off := r.IntN(size)
			if strings.Contains(pattern, "chunks") {
				bytes := chunkBytes(t, name)
				off = bytes[r.IntN(len(bytes))]
			}
			if strings.Contains(pattern, "images") && off > 192 && off < 64<<10 {
				off = 64<<10 + off%(size-64<<10) // between them nothing is
			}
			edit(t, name, flip(off))
			code, out, _ := ctl(t, "verify", filepath.Join(dir, "team-a"))
			edit(t, name, flip(off))
			require.True(t, slices.Contains([]int{exitTorn, exitDamage}, code), "%s at %d: %s", name, off, out)
			require.Contains(t, out, filepath.Base(name), fmt.Sprint(off))
		}
	}
}

// chunkBytes returns the offsets of all bytes of a chunk file that mean something.
func chunkBytes(t *testing.T, name string) []int {
	var offs []int
	add := func(from, to int64) {
		for ; from < to; from++ {
			offs = append(offs, int(from))
		}
	}
	first := int64(0) // the file's header ends where the first chunk begins
	_, err := engine.InspectChunks(disk.OS, name, func(c *engine.ClosedChunk) error {
		if first == 0 {
			first = c.Off
			add(0, first)
		}
		padding := (8 - int64(len(c.Data))%8) % 8
		add(c.Off, c.End-padding)
		return nil
	})
	require.NoError(t, err)
	return offs
}

// A single file can be verified, also while a process holds the directory; then the output says so.
func TestVerifyFile(t *testing.T) {
	dir, _ := testData(t)
	one := []string{
		files(t, dir, "team-a/wal/0*")[0], files(t, dir, "team-a/wal/checkpoint*/0*")[0], files(t, dir, "team-a/chunks/*")[0],
		files(t, dir, "team-a/images/*")[0], ckpt.CataloguePath(dir + "/team-a"),
	}
	e := testEngine(t, dir)
	for _, name := range one {
		code, out, errs := ctl(t, "verify", name)
		require.Zero(t, code, out)
		require.Contains(t, errs, "moving target")
	}
	code, out, errs := ctl(t, "verify", dir)
	require.Equal(t, exitFailed, code)
	require.Empty(t, out)
	require.Contains(t, errs, "is held by process")
	require.NoError(t, e.Close())
	for _, name := range one[:4] {
		edit(t, name, flip(70))
		code, out, _ := ctl(t, "verify", name)
		require.NotZero(t, code, name)
		require.Contains(t, out, name)
	}
}

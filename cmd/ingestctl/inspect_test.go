package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/ckpt"
)

// inspect prints every file of a tenant in a line, and every item of each file; -entries names each sample. Damage is
// printed where it stands.
func TestInspect(t *testing.T) {
	dir, held := testData(t)
	before := fingerprint(t, dir)
	code, out, errs := ctl(t, "inspect", dir)
	require.Zero(t, code, errs)
	require.NotContains(t, out, "FAULT")
	for _, name := range []string{"team-a", "team-b", "catalogue, copy at byte 0", "images/00.a", "chunks/00-000001", "names of ", "wal/0000"} {
		require.Contains(t, out, name)
	}
	for _, pattern := range []string{"team-a/wal/0*", "team-a/wal/checkpoint*/0*", "team-a/images/*", "team-a/chunks/*"} {
		code, out, errs := ctl(t, "inspect", files(t, dir, pattern)[0])
		require.Zero(t, code, errs)
		require.NotContains(t, out, "FAULT")
		require.Greater(t, strings.Count(out, "\n"), 2, out)
	}
	samples := 0 // of team-b, all of which are in its log
	for _, name := range files(t, dir, "team-b/wal/0*") {
		code, out, errs := ctl(t, "inspect", "-entries", name)
		require.Zero(t, code, errs)
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) == 3 && strings.HasPrefix(f[1], "2023-11-1") {
				samples++
			}
		}
	}
	require.Equal(t, held["team-b"].samples(), samples)
	code, out, _ = ctl(t, "inspect", ckpt.CataloguePath(dir+"/team-a"))
	require.Zero(t, code)
	require.Contains(t, out, "the log may be cut up to commit")
	require.Equal(t, before, fingerprint(t, dir))

	name := files(t, dir, "team-a/wal/0*")[0]
	edit(t, name, flip(33_000))
	_, out, _ = ctl(t, "inspect", name)
	require.Contains(t, out, "FAULT")
	_, out, _ = ctl(t, "inspect", filepath.Join(dir, "team-a"))
	require.Equal(t, 1, strings.Count(out, "FAULTS"), fmt.Sprint(out))
}

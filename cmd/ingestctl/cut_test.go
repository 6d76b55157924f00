package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/engine"
)

// What cut -dry-run calls removable is what the next ingester removes; of the rest it says which stripe needs it. Without -dry-run it does nothing.
func TestCut(t *testing.T) {
	dir := t.TempDir()
	p := newPusher(2)
	e := testEngine(t, dir)
	p.push(t, e, "team-a", 100, 400)
	require.NoError(t, e.Close())
	code, out, errs := ctl(t, "cut", "-dry-run", dir)
	require.Zero(t, code, errs)
	require.NotContains(t, out, "REMOVE")
	require.Contains(t, out, "has one image only")
	require.Contains(t, out, "the newest segment is never removed")

	early := copyOf(t, dir)
	e = testEngine(t, dir, func(c *engine.Config) { c.RestartTarget = time.Millisecond })
	p.pushUntilCut(t, e, dir, "team-a", 100)
	require.NoError(t, e.Close())
	e = testEngine(t, dir, func(c *engine.Config) { c.Checkpoint = false }) // segments that no image contains
	p.push(t, e, "team-a", 100, 200)
	require.NoError(t, e.Close())
	// As if the process had died before it could remove them.
	for _, name := range files(t, early, "team-a/wal/0*") {
		to := filepath.Join(dir, "team-a/wal", filepath.Base(name))
		if _, err := os.Stat(to); errors.Is(err, os.ErrNotExist) {
			require.NoError(t, os.Link(name, to))
		}
	}
	before := fingerprint(t, dir)
	code, out, errs = ctl(t, "cut", filepath.Join(dir, "team-a"), "-dry-run")
	require.Zero(t, code, errs)
	require.Equal(t, before, fingerprint(t, dir))
	var remove, keep []string
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		switch {
		case strings.Contains(line, "REMOVE"):
			remove = append(remove, f[0])
		case strings.Contains(line, " keep: "):
			keep = append(keep, f[0])
		}
	}
	require.NotEmpty(t, remove)
	require.NotEmpty(t, keep)
	require.Contains(t, out, "older image at commit")

	e = testEngine(t, dir, func(c *engine.Config) { c.CheckpointDuration = time.Millisecond })
	p.push(t, e, "team-a", 100, 1)
	require.Eventually(t, func() bool {
		left := 0
		for _, name := range remove {
			if _, err := os.Stat(filepath.Join(dir, "team-a", name)); err == nil {
				left++
			}
		}
		return left == 0
	}, 10*time.Second, 5*time.Millisecond, "%v", remove)
	require.NoError(t, e.Close())

	code, _, errs = ctl(t, "cut", dir)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "only a running ingester cuts")
}

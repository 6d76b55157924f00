package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/engine"
)

// There and back: what export writes, import takes over into another data directory, and exported from there stock
// Prometheus still answers every sample that was once pushed, bit for bit. All tenants at once, and one under a new name.
func TestExportImport(t *testing.T) {
	dir, held := testData(t)
	exported := filepath.Join(t.TempDir(), "exported")
	code, _, errs := ctl(t, "export", dir, exported)
	require.Zero(t, code, errs)
	before := fingerprint(t, exported)

	into := filepath.Join(t.TempDir(), "new", "data")
	code, out, errs := ctl(t, "import", exported, "-into", into)
	require.Zero(t, code, errs)
	for tenant, want := range held {
		require.Contains(t, out, fmt.Sprintf("tenant %s is taken over from %s:\n  %d series, %d float samples", tenant, filepath.Join(exported, tenant), len(want), want.samples()))
	}
	code, out, errs = ctl(t, "import", filepath.Join(exported, "team-a"), "-into", into, "-tenant", "renamed", "-tenant-stripes=1")
	require.Zero(t, code, errs)
	require.NotContains(t, out, "NOT STORED")
	code, out, _ = ctl(t, "import", exported, "-into", into)
	require.Zero(t, code)
	require.Contains(t, out, "already")
	require.Equal(t, before, fingerprint(t, exported))
	held["renamed"] = held["team-a"]

	code, out, errs = ctl(t, "verify", into)
	require.Zero(t, code, out+errs)
	again := filepath.Join(t.TempDir(), "again")
	code, _, errs = ctl(t, "export", into, again)
	require.Zero(t, code, errs)
	for tenant, want := range held {
		db, err := tsdb.Open(filepath.Join(again, tenant), nil, nil, tsdb.DefaultOptions(), nil)
		require.NoError(t, err)
		q, err := db.Querier(math.MinInt64, math.MaxInt64)
		require.NoError(t, err)
		requireEqual(t, want, read(t, q))
		require.NoError(t, db.Close())
	}
	// The directory is nobody's yet: the first ingester names it, whatever its id.
	require.NoError(t, testEngine(t, into, func(c *engine.Config) { c.Instance, c.InstanceGiven = "ingester-7", true }).Close())
}

// Nothing is made of a command that cannot be right, and a data directory in use is left alone.
func TestImportRefused(t *testing.T) {
	dir, _ := testData(t)
	exported := filepath.Join(t.TempDir(), "exported")
	code, _, errs := ctl(t, "export", filepath.Join(dir, "team-b"), exported)
	require.Zero(t, code, errs)
	into := filepath.Join(t.TempDir(), "data")
	for _, bad := range [][]string{
		{"import", exported},
		{"import", exported, "-into", into},
		{"import", "-into", into, "-tenant", "x"},
		{"import", dir, "-into", into},
		{"import", filepath.Join(dir, "team-a"), "-into", into, "-tenant", "x"},
		{"import", exported, "-into", into, "-tenant", "a/b"},
	} {
		code, out, errs := ctl(t, bad...)
		require.Equal(t, exitFailed, code, bad)
		require.Empty(t, out)
		require.NotEmpty(t, errs)
		_, err := os.Stat(into)
		require.ErrorIs(t, err, os.ErrNotExist, bad)
	}
	e := testEngine(t, dir)
	code, _, errs = ctl(t, "import", exported, "-into", dir, "-tenant", "x")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "is held by process")
	require.NoError(t, e.Close())
	code, _, errs = ctl(t, "import", exported, "-into", dir, "-tenant", "team-a")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "the tenant exists")
	code, _, errs = ctl(t, "import", exported, "-into", dir, "-tenant", "x")
	require.Zero(t, code, errs)
}

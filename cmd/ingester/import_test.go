package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
)

// prometheusDir is a directory of Prometheus with the samples 1, 2, 3 of a series up to now.
func prometheusDir(t *testing.T, dir string, now time.Time) {
	t.Helper()
	db, err := tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, tsdb.DefaultOptions(), nil)
	require.NoError(t, err)
	app := db.Appender(context.Background())
	for i := range 3 {
		_, err := app.Append(0, labels.FromStrings("__name__", "up", "job", "before"), now.Add(time.Duration(i-2)*15*time.Second).UnixMilli(), float64(i+1))
		require.NoError(t, err)
	}
	require.NoError(t, app.Commit())
	require.NoError(t, db.Close())
}

// With -ingester.import-dir the ingester goes on where Prometheus stopped: its samples are answered, new ones come
// behind them. The flag may stay for the next start, which finds it done. A tenant that exists already is an error.
func TestImportDir(t *testing.T) {
	source, dir := filepath.Join(t.TempDir(), "prometheus"), t.TempDir()
	now := time.Now().Truncate(time.Second)
	prometheusDir(t, source, now.Add(-time.Minute))
	flag := "-ingester.import-dir=" + source
	for range 2 {
		i := startReal(t, dir, flag)
		i.expect(t, `sum_over_time(up{job="before"}[5m])`, now, `"6"`)
		code, text := i.push(t, "", "up", now, 7)
		require.Equal(t, 200, code, text)
		i.expect(t, `count(up)`, now, `"2"`)
		i.stop(t)
	}

	other := t.TempDir()
	i := startReal(t, other)
	code, text := i.push(t, "", "up", now, 7)
	require.Equal(t, 200, code, text)
	i.stop(t)
	o, err := load([]string{"-ingester.wal-dir=" + other, flag})
	require.NoError(t, err)
	require.ErrorContains(t, startInstance(t, newStore(o, quiet())).wait(t), "the tenant exists")

	_, err = load([]string{flag, "-ingester.wal-enabled=false"})
	require.ErrorContains(t, err, "-ingester.import-dir needs")
}

// A root of Cortex's or Mimir's tenants: each keeps its name.
func TestImportDirOfTenants(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	now := time.Now().Truncate(time.Second)
	for _, tenant := range []string{"anonymous", "team-b"} {
		prometheusDir(t, filepath.Join(root, tenant), now)
	}
	i := startReal(t, dir, "-ingester.import-dir="+root)
	i.expect(t, `up`, now, `"3"`)
	_, metrics := i.get(t, "metrics")
	require.Contains(t, metrics, "cortex_ingester_memory_users 2")
	i.stop(t)
}

// The data directory of the documented chunk-storage ingester is refused untouched, and the message says what reads it.
func TestChunkStorageWAL(t *testing.T) {
	for _, name := range []string{"00000042", "checkpoint.000041/00000000"} {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644))
		o, err := load([]string{"-ingester.wal-dir=" + dir})
		require.NoError(t, err)
		err = startInstance(t, newStore(o, quiet())).wait(t)
		require.ErrorContains(t, err, "Cortex 1.10 chunk-storage ingester")
		require.ErrorContains(t, err, "ingestctl import")
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1)
	}
}

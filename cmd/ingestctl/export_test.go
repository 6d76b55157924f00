package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
)

// What export writes, stock Prometheus opens, read-only and for writing, and answers with every sample that was pushed,
// bit for bit, whether it was in an image, a closed chunk or the log only. The source is as it was.
func TestExport(t *testing.T) {
	dir, held := testData(t)
	before := fingerprint(t, dir)
	target := filepath.Join(t.TempDir(), "exported")
	code, out, errs := ctl(t, "export", dir, target)
	require.Zero(t, code, errs)
	require.Equal(t, before, fingerprint(t, dir))
	for tenant, want := range held {
		require.Contains(t, out, fmt.Sprintf("tenant %s: %d series, %d samples", tenant, len(want), want.samples()))
		stock := filepath.Join(target, tenant)

		ro, err := tsdb.OpenDBReadOnly(stock, t.TempDir(), nil)
		require.NoError(t, err)
		q, err := ro.Querier(math.MinInt64, math.MaxInt64)
		require.NoError(t, err)
		requireEqual(t, want, read(t, q))
		require.NoError(t, ro.Close())

		db, err := tsdb.Open(stock, nil, nil, tsdb.DefaultOptions(), nil)
		require.NoError(t, err)
		q, err = db.Querier(math.MinInt64, math.MaxInt64)
		require.NoError(t, err)
		requireEqual(t, want, read(t, q))
		require.NoError(t, db.Close())
	}

	// One tenant alone is the target itself, and a target that is there is left alone.
	alone := filepath.Join(t.TempDir(), "alone")
	code, _, errs = ctl(t, "export", filepath.Join(dir, "team-b"), alone)
	require.Zero(t, code, errs)
	require.DirExists(t, filepath.Join(alone, "wal"))
	code, _, errs = ctl(t, "export", filepath.Join(dir, "team-b"), alone)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "is there already")
}

// dump prints every sample once, in a form that Prometheus's OpenMetrics parser takes back: series by series, metrics
// not mixed. -match, -from and -to leave out the rest. Staleness markers and foreign NaNs become NaN, and are counted.
func TestDump(t *testing.T) {
	dir, held := testData(t)
	before := fingerprint(t, dir)
	parse := func(text string) all {
		p := textparse.NewOpenMetricsParser([]byte(text), labels.NewSymbolTable())
		got, seen, last := all{}, map[string]bool{}, ""
		for {
			entry, err := p.Next()
			if errors.Is(err, io.EOF) {
				return got
			}
			require.NoError(t, err)
			require.Equal(t, textparse.EntrySeries, entry)
			_, ts, v := p.Series()
			var l labels.Labels
			p.Labels(&l)
			name := l.Get("__name__")
			require.True(t, name == last || !seen[name], "metric %s is in two places", name)
			seen[name], last = true, name
			got[l.String()] = append(got[l.String()], point{*ts, math.Float64bits(v)})
		}
	}
	text := all{} // what text can say
	for name, points := range held["team-a"] {
		for _, x := range points {
			if v := math.Float64frombits(x.v); math.IsNaN(v) {
				x.v = math.Float64bits(math.NaN())
			}
			text[name] = append(text[name], x)
		}
	}
	code, out, errs := ctl(t, "dump", "-tenant", "team-a", dir)
	require.Zero(t, code, errs)
	require.Contains(t, errs, "staleness markers were printed as NaN")
	nan := parse(out)
	for _, points := range nan {
		for i := range points {
			if math.IsNaN(math.Float64frombits(points[i].v)) {
				points[i].v = math.Float64bits(math.NaN())
			}
		}
	}
	requireEqual(t, text, nan)
	require.Equal(t, before, fingerprint(t, dir))

	code, out, errs = ctl(t, "dump", filepath.Join(dir, "team-a"), "-match", `metric_1{pod=~"pod-(1|8)"}`, "-from", "1700003600", "-to", "2023-11-14T23:20:00Z")
	require.Zero(t, code, errs)
	want := 0
	for name, points := range text {
		for _, x := range points {
			if x.t >= 1_700_003_600_000 && x.t <= 1_700_004_000_000 && (name == series(1).String() || name == series(8).String()) {
				want++
			}
		}
	}
	require.NotZero(t, want)
	require.Equal(t, want, parse(out).samples())

	for _, bad := range [][]string{{"dump", dir}, {"dump", dir, "-tenant", "nobody"}, {"dump"}, {"dump", dir, "-from", "x", "-tenant", "team-a"}, {"dump", dir, "-tenant", "team-a", "-match", "{"}, {"dump", t.TempDir()}} {
		code, out, errs := ctl(t, bad...)
		require.Equal(t, exitFailed, code, bad)
		require.Empty(t, out)
		require.NotEmpty(t, errs)
	}
}

// stat counts what was pushed, tenant by tenant, also of a copy of a folder under another name; and a directory that a
// process holds is refused by naming the process.
func TestStat(t *testing.T) {
	dir, held := testData(t)
	code, out, errs := ctl(t, "stat", dir)
	require.Zero(t, code, errs)
	lines := strings.Split(out, "\n")
	for i, tenant := range []string{"team-a", "team-b"} {
		f := strings.Fields(lines[1+i])
		require.Equal(t, []string{tenant, fmt.Sprint(len(held[tenant])), fmt.Sprint(held[tenant].samples())}, f[:3])
	}
	copied := filepath.Join(t.TempDir(), "tuesday")
	require.NoError(t, os.CopyFS(copied, os.DirFS(filepath.Join(dir, "team-a"))))
	code, out, errs = ctl(t, "stat", copied)
	require.Zero(t, code, errs)
	require.Equal(t, strings.Fields(lines[1]), strings.Fields(strings.Split(out, "\n")[1]))

	e := testEngine(t, dir)
	code, out, errs = ctl(t, "stat", filepath.Join(dir, "team-a"))
	require.NoError(t, e.Close())
	require.Equal(t, exitFailed, code)
	require.Empty(t, out)
	require.Contains(t, errs, fmt.Sprintf("is held by process %d", os.Getpid()))
}

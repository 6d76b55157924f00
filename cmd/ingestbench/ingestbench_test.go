package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The test binary is its own child, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childName {
		main()
		return
	}
	os.Exit(m.Run())
}

// A tiny run goes through everything that a run at full size does: both systems write, are killed, replay
// the same log, stop cleanly and start again, and have all samples each time. So the benchmark cannot rot.
// Every figure of the table must have been measured. Some writers have no request: there are five in a scrape.
func TestTableOfATinyRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	require.NoError(t, dispatch(t.Context(), []string{
		"-series=300", "-series-per-target=30", "-scrapes=4", "-writers=8", "-request=70", "-churn=50", "-values=mixed", "-ingester=", "-variants",
		"-dir=" + t.TempDir(), "-json=" + file,
	}))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var figures struct{ Rows []row }
	require.NoError(t, json.Unmarshal(b, &figures))
	require.Len(t, figures.Rows, 19)
	for _, r := range figures.Rows {
		// So few samples take less CPU than the clock's grain, and other systems than Linux tell no memory.
		if r.Unit == "B" && !strings.Contains(r.Name, "memory") {
			require.Positive(t, r.Rekindle, r.Name)
			require.Positive(t, r.Prometheus, r.Name)
		}
	}
}

// What a child cannot do reaches whoever waits for it, with the system's own words.
func TestChildTellsItsFailure(t *testing.T) {
	m := &measurement{show: newProgress(), dir: t.TempDir(), s: spec{Scrapes: 1, Writers: 1, Request: 1}}
	require.NoError(t, m.prepare())
	s := m.spec(prometheus, "not-a-directory")
	require.NoError(t, os.WriteFile(s.Dir, nil, 0o644))
	_, err := m.loadAndKill(t.Context(), "Prometheus", s)
	require.ErrorContains(t, err, "Prometheus: ")
	require.ErrorContains(t, err, "not-a-directory")
}

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A tiny run asks both systems every question twice, and both give the same answers, which the program checks. So
// the benchmark cannot rot.
func TestReadOfATinyRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures")
	require.NoError(t, dispatch(t.Context(), []string{
		"read", "-series=10000", "-scrapes=8", "-for=5ms", "-runs=2", "-rate=10000", "-dir=" + t.TempDir(), "-out=" + file,
	}))
	b, err := os.ReadFile(file + ".json")
	require.NoError(t, err)
	var written struct {
		Data struct {
			Questions            []string
			Rekindle, Prometheus readFigures
		}
	}
	require.NoError(t, json.Unmarshal(b, &written))
	figures := written.Data
	for _, f := range []readFigures{figures.Rekindle, figures.Prometheus} {
		for _, timings := range [][]timing{f.Quiet, f.Loaded} {
			require.Len(t, timings, len(figures.Questions))
			for i, timing := range timings {
				require.GreaterOrEqual(t, timing.Runs, 2)
				require.Positive(t, timing.P50, figures.Questions[i])
			}
		}
		require.Positive(t, f.PushAlone.Requests)
		require.Positive(t, f.PushAsked.Requests)
	}
}

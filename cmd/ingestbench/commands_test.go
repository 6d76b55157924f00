package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each command goes through everything on a tiny workload: the ingester's binary is started, pushed to, killed, asked
// to stop and started again, every sample is compared, and the report can be written. So they cannot rot.
func TestCommandsOnATinyWorkload(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "ingester")
	build, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../ingester").CombinedOutput()
	require.NoError(t, err, "%s", build)
	for _, c := range []struct {
		name string
		args []string
		page bool
	}{
		{"restart", []string{"-series=3000", "-scrapes=3", "-paced=2", "-interval=300ms", "-cold=false"}, false},
		{"forecast", []string{"-sizes=2000,3000", "-restarts=4"}, true},
		{"images", []string{"-series=3000", "-touched=false", "-scrapes=2", "-pace=400ms", "-rate-for=800ms", "-latency-for=800ms"}, true},
		{"peers", []string{"-sizes=2000", "-scrapes=3", "-paced=2", "-pace=200ms", "-prometheus=/nowhere", "-cortex=/nowhere"}, true},
		{"scale", []string{"-sizes=1000,2000", "-scrapes=3", "-paced=1", "-pace=200ms"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(dir, c.name)
			require.NoError(t, dispatch(t.Context(), append([]string{c.name, "-ingester=" + binary, "-dir=" + t.TempDir(), "-out=" + out}, c.args...)))
			b, err := os.ReadFile(out + ".json")
			require.NoError(t, err)
			var r report
			require.NoError(t, json.Unmarshal(b, &r))
			require.NotEmpty(t, r.Tables)
			for _, g := range r.Tables {
				require.NotEmpty(t, g.Rows, g.Title)
				for _, row := range g.Rows {
					require.Len(t, row, len(g.Columns), g.Title)
				}
			}
			require.FileExists(t, out+".txt")
			if c.page {
				require.FileExists(t, out+".html")
			}
		})
	}
}

package walio

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/rekindledb/rekindle/arena/disk"
)

// A segment that tsdb/wlog wrote is read record by record, in each compression, padding and all; behind a damaged byte
// reading goes on, and no more than the record that it hits is lost.
func TestReadForeign(t *testing.T) {
	for _, packed := range []compression.Type{compression.None, compression.Snappy, compression.Zstd} {
		t.Run(packed, func(t *testing.T) {
			dir := t.TempDir()
			w, err := wlog.NewSize(nil, nil, dir, 4*pageSize, packed)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := range 600 {
				rec := bytes.Repeat([]byte(fmt.Sprintf("%c record %d ", 'A'+i%20, i*i)), 1+i*i%300)
				want = append(want, string(rec))
				if err := w.Log(rec); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			read := func() (got []string, faults int) {
				names, err := filepath.Glob(filepath.Join(dir, "0*"))
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range names {
					err := ReadForeign(disk.OS, name, func(r *ForeignRecord) error {
						if r.Fault != "" {
							faults++
						} else {
							got = append(got, string(r.Data))
						}
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				return got, faults
			}
			got, faults := read()
			if faults != 0 || !slices.Equal(got, want) {
				t.Errorf("%d of %d records, %d faults", len(got), len(want), faults)
			}
			name := filepath.Join(dir, "00000000")
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			if err := os.WriteFile(name, b, 0o644); err != nil {
				t.Fatal(err)
			}
			got, faults = read()
			if faults == 0 || len(got) != len(want)-1 || slices.ContainsFunc(got, func(r string) bool { return !slices.Contains(want, r) }) {
				t.Errorf("behind damage %d of %d records, %d faults", len(got), len(want), faults)
			}
		})
	}
}

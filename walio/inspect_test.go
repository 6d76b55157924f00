package walio

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rekindledb/rekindle/arena/disk"
)

// Inspect accounts for every byte of a sound segment, counts what its commits count, and finds fault with it if any
// one of its bytes is changed or its end is missing.
func TestInspectSeesEveryByte(t *testing.T) {
	names := []string{"00000001", "00000002", filepath.Join("checkpoint.00000000", "00000000")}
	for _, name := range names {
		path := filepath.Join("testdata", "layout1", name)
		sound, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := int64(0)
		var said, found Totals
		err = Inspect(disk.OS, path, func(i *Item) error {
			if i.Fault != "" || i.Off != at {
				t.Errorf("%s: item at %d, expected at %d: %q", name, i.Off, at, i.Fault)
			}
			at = i.End
			switch {
			case i.Commit != nil && !i.Commit.Copy:
				said = said.plus(i.Commit.Counts)
			case i.Record != nil && i.Record.Type == recordSeries:
				found.Series += uint64(i.Record.Entries)
			case i.Record != nil && i.Record.Type == recordSamples:
				found.Samples += uint64(i.Record.Entries)
			case i.Record != nil:
				found.Others++
			}
			return nil
		})
		if err != nil || at != int64(len(sound)) || said != found || found == (Totals{}) {
			t.Errorf("%s: %d of %d bytes, counts %+v, found %+v: %v", name, at, len(sound), said, found, err)
		}

		damaged := filepath.Join(t.TempDir(), "segment")
		faults := func(b []byte) (n int, err error) {
			if err := os.WriteFile(damaged, b, 0o644); err != nil {
				t.Fatal(err)
			}
			err = Inspect(disk.OS, damaged, func(i *Item) error {
				if i.Fault != "" {
					n++
				}
				return nil
			})
			return n, err
		}
		for off := 0; off < len(sound); off += 31 {
			sound[off] ^= 1 << (off % 8)
			if n, err := faults(sound); n == 0 && err == nil {
				t.Errorf("%s: a changed byte at %d is not seen", name, off)
			}
			sound[off] ^= 1 << (off % 8)
		}
		for _, cut := range []int{1, 5, 8, 40} {
			if n, err := faults(sound[:len(sound)-cut]); n == 0 && err == nil {
				t.Errorf("%s: %d bytes less at the end are not seen", name, cut)
			}
		}
	}
}

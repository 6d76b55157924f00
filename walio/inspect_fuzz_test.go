package walio

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// Whatever a segment holds, Inspect and ReadForeign come to an end without a panic, and what they name lies inside it.
func FuzzInspect(f *testing.F) {
	for _, name := range []string{"00000001", "00000002"} {
		b, err := os.ReadFile(filepath.Join("testdata", "layout1", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 4096)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		mem, name := faultfs.NewMem(), "/00000000"
		if err := disk.WriteFileAtomic(mem, name, b); err != nil {
			t.Fatal(err)
		}
		inside := func(off, end int64) {
			if off < 0 || end < off || end > int64(len(b)) {
				t.Fatalf("an item from %d to %d of %d bytes", off, end, len(b))
			}
		}
		_ = Inspect(mem, name, func(i *Item) error {
			inside(i.Off, i.End)
			return nil
		})
		if err := ReadForeign(mem, name, func(r *ForeignRecord) error {
			inside(r.Off, r.End)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}

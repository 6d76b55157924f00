package ckpt

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

var update = flag.Bool("update", false, "write the golden files of the present layout anew")

// goldenTenant makes the tenant of which the golden files are the catalogue and slot a.
func goldenTenant(t *testing.T) (*faultfs.Mem, []byte, Meta) {
	t.Helper()
	mem := faultfs.NewMem()
	data := make([]byte, 2*ExtentSize)
	for i := range data {
		data[i] = byte(i*i>>3 + i)
	}
	meta := Meta{
		Commit: 41, Extents: 2, Layout: 1, Epoch: 3, Floor: 1_699_999_000_000, Series: 12, MaxIndex: 15,
		MinTime: 1_700_000_000_000, MaxTime: 1_700_000_600_000, Segment: 6,
		Chunks: []ChunkFile{{ID: 4, Length: 123456}, {ID: 7, Length: 64}},
	}
	cat := &Catalogue{
		Identity: Identity{Tenant: "team-a", Generation: 0x1122334455667788, Stripes: 2, HashID: 1, RefLayout: 1},
		Floor:    -1, Created: 1_700_000_000_123, Images: make([][]Entry, 2),
	}
	cfg := testConfig(mem)
	must(t, createCatalogue(&cfg, cat))
	s, err := Open(cfg, "team-a")
	s = mustStore(t, s, err)
	w := s.Begin(1)
	must(t, w.Write(meta, []arena.Run{{First: 0, Data: data}}))
	must(t, w.Walk(func([]byte) error { return nil }))
	must(t, w.Sync())
	must(t, s.Publish(Update{
		Images: []*Writer{w}, Idle: []Idle{{Stripe: 0, To: 43}, {Stripe: 1, Since: 41, To: 43}}, SyncedThrough: 44, NextSegment: 7,
		Epoch: 3, EpochStart: 20,
	}))
	return mem, data, meta
}

// TestGoldenWritten shows that the present layout is written as it was when it was released: a difference is a new
// layout and needs a new number, and the golden files of the old one stay.
func TestGoldenWritten(t *testing.T) {
	mem, _, meta := goldenTenant(t)
	cfg := testConfig(mem)
	for name, path := range map[string]string{"layout1.catalogue": cfg.cataloguePath(), "layout1.slot": cfg.slotPath(1, SlotA)} {
		got, err := disk.ReadFile(mem, path)
		must(t, err)
		if name == "layout1.slot" {
			got = got[:slotSize(meta.Extents)]
		}
		file := filepath.Join("testdata", name)
		if *update {
			must(t, os.WriteFile(file, got, 0o644))
		}
		want, err := os.ReadFile(file)
		must(t, err)
		if !bytes.Equal(got, want) {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Errorf("%s: %d bytes, want %d, the first difference is at byte %d", name, len(got), len(want), i)
		}
	}
}

// TestGoldenRead shows that files of every released layout are read.
func TestGoldenRead(t *testing.T) {
	_, data, meta := goldenTenant(t)
	for _, layout := range []string{"layout1"} {
		mem := faultfs.NewMem()
		cfg := testConfig(mem)
		must(t, mem.MkdirAll(cfg.imagesPath(), 0o755))
		for name, path := range map[string]string{layout + ".catalogue": cfg.cataloguePath(), layout + ".slot": cfg.slotPath(1, SlotA)} {
			b, err := os.ReadFile(filepath.Join("testdata", name))
			must(t, err)
			must(t, disk.WriteFileAtomic(mem, path, b))
		}
		s, err := Open(cfg, "team-a")
		s = mustStore(t, s, err)
		l, gotMeta, got, err := load(s, 1)
		if err != nil || !bytes.Equal(got, data) || !reflect.DeepEqual(gotMeta, meta) || l.Entry.Commit != 43 || !l.Entry.Synced {
			t.Fatalf("%s: %+v %+v %v", layout, l, gotMeta, err)
		}
		if l, _, _, err := load(s, 0); err != nil || l.Entry != (Entry{Slot: SlotNone, Commit: 43, Synced: true}) {
			t.Fatalf("%s: stripe 0: %+v %v", layout, l, err)
		}
		c := s.Catalogue()
		c.Images = nil
		want := Catalogue{
			Identity: Identity{Tenant: "team-a", Generation: 0x1122334455667788, Stripes: 2, HashID: 1, RefLayout: 1},
			Seq:      4, Epoch: 3, EpochStart: 20, Floor: -1, SyncedThrough: 44, NextSegment: 7, Created: 1_700_000_000_123,
		}
		if !reflect.DeepEqual(c, want) {
			t.Fatalf("%s: catalogue\n got %+v\nwant %+v", layout, c, want)
		}
		m := loaded(1, got)
		m.touch(0)
		must(t, m.take(s, 50)) // and it is written again in the present layout
	}
}

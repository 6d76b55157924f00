package ckpt

import (
	"errors"
	"reflect"
	"testing"

	"github.com/rekindledb/rekindle/arena"
)

// What is read without opening the tenant is what opening it finds: both copies of the catalogue, the headers of the
// slots, and images that are as intact as Load says. The files stay as they are, and damage to either image is found
// whichever of them a start would use.
func TestInspect(t *testing.T) {
	mem, m := twoImages(t)
	cfg := testConfig(mem)
	s, err := Open(cfg, "anonymous")
	s = mustStore(t, s, err)
	want := s.Catalogue()
	must(t, s.Close())

	copies, err := ReadCatalogue(mem, CataloguePath(cfg.Dir))
	must(t, err)
	newest := copies[0].Catalogue
	if c := copies[1].Catalogue; c.Seq > newest.Seq {
		newest = c
	}
	if !reflect.DeepEqual(*newest, want) || newest.CutPoint() != 10 {
		t.Errorf("catalogue %+v, want %+v", newest, want)
	}
	all := func(im *Image) error { return im.ReadTo(make([]byte, im.Size())) }
	for _, e := range want.Images[0] {
		name := SlotPath(cfg.Dir, 0, e.Slot)
		if stripe, slot, ok := ParseSlotName(name); stripe != 0 || slot != e.Slot || !ok {
			t.Errorf("%s is slot %v of %d", name, slot, stripe)
		}
		info, err := ReadSlot(mem, name)
		must(t, err)
		if info.Checksum != e.Header || !reflect.DeepEqual(info.Meta, m.meta(e.Commit)) && e.Commit == 20 {
			t.Errorf("%s: %+v", name, info)
		}
		must(t, CheckImage(mem, cfg.Dir, want.Identity, 0, e, all))

		damaged := mem.Kill()
		flip(t, damaged, name, dataOffset+17, 4)
		var c *CorruptError
		if err := CheckImage(damaged, cfg.Dir, want.Identity, 0, e, all); !errors.As(err, &c) || c.Offset != dataOffset || !errors.Is(err, arena.ErrDamaged) {
			t.Errorf("a damaged extent of %s: %v", name, err)
		}
		flip(t, damaged, name, 3, 4)
		if _, err := ReadSlot(damaged, name); !errors.As(err, &c) {
			t.Errorf("a damaged header of %s: %v", name, err)
		}
	}
	for _, name := range []string{"0.a", "00.c", "00.a.tmp", "catalogue", "x0.a", "000.a"} {
		if _, _, ok := ParseSlotName(name); ok {
			t.Errorf("%s is taken for a slot", name)
		}
	}
}

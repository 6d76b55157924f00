package ckpt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// loseCatalogue are the ways in which a catalogue can be lost for good.
var loseCatalogue = map[string]func(t *testing.T, mem *faultfs.Mem){
	"gone":  func(t *testing.T, mem *faultfs.Mem) { must(t, mem.Remove(testDir+"/catalogue")) },
	"empty": func(t *testing.T, mem *faultfs.Mem) { must(t, disk.WriteFileAtomic(mem, testDir+"/catalogue", nil)) },
	"both copies": func(t *testing.T, mem *faultfs.Mem) {
		flip(t, mem, testDir+"/catalogue", 100, 1)
		flip(t, mem, testDir+"/catalogue", copySize+120, 1)
	},
}

// TestLostCatalogue shows that a lost catalogue is made anew of the images, with the same identity, and that the
// tenant goes on from its newest image; images of other tenants, stripes and older generations are left alone.
func TestLostCatalogue(t *testing.T) {
	for name, lose := range loseCatalogue {
		t.Run(name, func(t *testing.T) {
			mem, m := twoImages(t)
			must(t, reopen(t, mem).Publish(Update{Epoch: 4, EpochStart: 15, NextSegment: 1}))
			// What else may lie there: a stripe that there is not, a foreign tenant, an old generation, a folder.
			img, err := disk.ReadFile(mem, testDir+"/images/00.b")
			must(t, err)
			must(t, disk.WriteFileAtomic(mem, testDir+"/images/05.a", img))
			must(t, disk.WriteFileAtomic(mem, testDir+"/images/lost.txt", []byte("?")))
			must(t, mem.MkdirAll(testDir+"/images/folder", 0o755))
			lose(t, mem)

			s := reopen(t, mem)
			c := s.Catalogue()
			if c.Identity != testIdentity(1) || c.Epoch != 1+epochsUnseen || c.EpochStart != math.MaxUint64 || c.Floor != -5 || c.SyncedThrough != 20 || c.NextSegment != 11 {
				t.Fatalf("%+v", c)
			}
			if got := fmt.Sprint(s.Entries(0)[0].Commit, s.Entries(0)[1].Commit, s.CutPoint()); got != "20 10 10" {
				t.Fatalf("entries and cut: %s", got)
			}
			l, _, got, err := load(s, 0)
			if err != nil || l.Entry.Commit != 20 || len(l.Failed) > 0 || !bytes.Equal(got, m.past[20]) {
				t.Fatalf("%+v, %v", l, err)
			}
			again := loaded(0, got)
			again.change(rand.New(rand.NewPCG(1, 1)))
			must(t, again.take(s, 30))
			if l, _, got, err := load(reopen(t, mem.Crash(rand.New(rand.NewPCG(1, 1)))), 0); err != nil || l.Entry.Commit != 30 || !bytes.Equal(got, again.mem) {
				t.Fatalf("going on: %+v, %v", l, err)
			}
		})
	}
}

// TestOldGenerationIsLeftOut shows that of two generations found in one directory the newer one is taken.
func TestOldGenerationIsLeftOut(t *testing.T) {
	mem, _ := twoImages(t)
	id := testIdentity(1)
	id.Generation = 8
	other := faultfs.NewMem()
	s, err := Create(testConfig(other), id)
	s = mustStore(t, s, err)
	m := newModel(0)
	m.change(rand.New(rand.NewPCG(1, 1)))
	must(t, m.take(s, 25))
	img, err := disk.ReadFile(other, testDir+"/images/00.a")
	must(t, err)
	must(t, disk.WriteFileAtomic(mem, testDir+"/images/00.a", img))
	must(t, mem.Remove(testDir+"/catalogue"))

	c := reopen(t, mem).Catalogue()
	if c.Generation != 8 || len(c.Images[0]) != 1 || c.Images[0][0].Commit != 25 {
		t.Fatalf("%+v", c)
	}
}

// TestNothingToRebuildFrom shows what is reported when there is no image either: a directory without anything is
// a new one, a damaged catalogue alone is damage, and what a newer version wrote is not touched.
func TestNothingToRebuildFrom(t *testing.T) {
	for name, lose := range loseCatalogue {
		mem := faultfs.NewMem()
		s, err := Create(testConfig(mem), testIdentity(1))
		mustStore(t, s, err)
		lose(t, mem)
		want := arena.ErrDamaged
		if name == "gone" {
			want = fs.ErrNotExist
		}
		if _, err := Open(testConfig(mem), "anonymous"); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if Exists(testConfig(mem)) != (name != "gone") {
			t.Errorf("%s: Exists is wrong", name)
		}
	}

	mem, _ := twoImages(t)
	img, err := disk.ReadFile(mem, testDir+"/images/00.b")
	must(t, err)
	must(t, disk.WriteFileAtomic(mem, testDir+"/images/00.b", rewrite(img, func(b []byte) { b[8] = 2 })))
	must(t, mem.Remove(testDir+"/catalogue"))
	var v *VersionError
	if _, err := Open(testConfig(mem), "anonymous"); !errors.As(err, &v) {
		t.Errorf("images of a newer version: %v", err)
	}
	if !Exists(testConfig(mem)) {
		t.Error("a tenant without a catalogue, but with images, is not seen")
	}
}

// TestCrashInRebuild cuts the power at every operation of making a catalogue anew: the next start makes it.
func TestCrashInRebuild(t *testing.T) {
	before, m := twoImages(t)
	must(t, before.Remove(testDir+"/catalogue"))
	must(t, before.SyncDir(testDir))
	r := rand.New(rand.NewPCG(rand.Uint64(), 1))
	mem := before.Kill()
	cuts := 0
	cfg := testConfig(faultfs.Inject(mem, &faultfs.Rule{Kinds: faultfs.Mutations, Before: func(op faultfs.Op) {
		for range 10 {
			cuts++
			l, _, got, err := load(reopen(t, mem.Crash(r)), 0)
			if err != nil || l.Entry.Commit != 20 || !bytes.Equal(got, m.past[20]) {
				t.Fatalf("cut before %v: %+v, %v", op, l, err)
			}
		}
	}}))
	s, err := Open(cfg, "anonymous")
	mustStore(t, s, err)
	if cuts < 50 {
		t.Fatalf("only %d cuts", cuts)
	}
}

package ckpt

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// TestImagesComeBack takes images of a growing and shrinking stripe, and after each opens the directory again:
// the newest image is there as it was taken, and the catalogue says what it should.
func TestImagesComeBack(t *testing.T) {
	for name, fsys := range map[string]disk.FS{"os": disk.OS, "mem": faultfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(fsys)
			if name == "os" {
				cfg.Dir = t.TempDir() + "/anonymous"
			}
			r := rand.New(rand.NewPCG(1, 1))
			s, err := Create(cfg, testIdentity(2))
			s = mustStore(t, s, err)
			m := newModel(1)
			for commit := uint64(10); commit < 200; commit += 10 {
				m.change(r)
				switch commit {
				case 50:
					for range 300 {
						m.change(r)
					}
				case 120: // a compacted arena: everything is new, and less
					m.mem = m.mem[:7*ExtentSize]
					for i := range m.extents() {
						m.touch(i)
						m.mem[i*ExtentSize] ^= 0xff
					}
					for slot := range m.dirty {
						for i := range m.dirty[slot] {
							if i >= m.extents() {
								delete(m.dirty[slot], i)
							}
						}
					}
				}
				must(t, m.take(s, commit))

				again, err := Open(cfg, "anonymous")
				again = mustStore(t, again, err)
				l, meta, mem, err := load(again, 1)
				must(t, err)
				if !l.Found || l.Entry.Commit != commit || len(l.Failed) > 0 {
					t.Fatalf("commit %d: loaded %+v", commit, l)
				}
				if !bytes.Equal(mem, m.mem) {
					t.Fatalf("commit %d: the image is not what was taken", commit)
				}
				if want := m.meta(commit); !reflect.DeepEqual(meta, want) {
					t.Fatalf("commit %d: meta\n got %+v\nwant %+v", commit, meta, want)
				}
				if l, _, _, err := load(again, 0); err != nil || l.Found {
					t.Fatalf("stripe 0 has no image, loaded %+v, %v", l, err)
				}
				if commit%30 == 0 { // go on with what was loaded: one slot is known, the other one not
					s = again
					past := m.past
					m = loaded(1, mem)
					m.past = past
				}
			}
		})
	}
}

// TestOnlyChangesAreWritten shows that an image costs what changed since its slot was written, also right
// after a load, and that a slot that was not read in this process asks for everything.
func TestOnlyChangesAreWritten(t *testing.T) {
	cfg := testConfig(faultfs.NewMem())
	r := rand.New(rand.NewPCG(2, 1))
	s, err := Create(cfg, testIdentity(1))
	s = mustStore(t, s, err)
	m := newModel(0)
	for range 400 {
		m.change(r)
	}
	must(t, m.take(s, 1))
	must(t, m.take(s, 2))
	whole := int64(len(m.mem))

	cost := func(s *Store, commit uint64) int64 {
		var before, after Stats
		s.Stats(&before)
		must(t, m.take(s, commit))
		s.Stats(&after)
		return int64(after.ImageBytes - before.ImageBytes)
	}
	m.mem[0]++
	m.touch(0)
	if n := cost(s, 3); n > whole/4 {
		t.Fatalf("one extent of %d changed, %d bytes written", m.extents(), n)
	}

	s, err = Open(cfg, "anonymous")
	s = mustStore(t, s, err)
	_, _, mem, err := load(s, 0)
	must(t, err)
	m = loaded(0, mem)
	if n := cost(s, 4); n < whole { // the slot that was not loaded
		t.Fatalf("an unknown slot was filled with %d bytes, want at least %d", n, whole)
	}
	if n := cost(s, 5); n > whole/4 { // the loaded one
		t.Fatalf("nothing changed since the load, %d bytes written", n)
	}
}

// TestCreate shows that a new tenant has a catalogue at once, and that nothing is created over one.
func TestCreate(t *testing.T) {
	cfg := testConfig(faultfs.NewMem())
	if _, err := Open(cfg, "anonymous"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Open of nothing: %v", err)
	}
	s, err := Create(cfg, testIdentity(4))
	s = mustStore(t, s, err)
	c := s.Catalogue()
	if c.Identity != testIdentity(4) || c.Floor != math.MinInt64 || len(c.Images) != 4 || c.Epoch != 0 {
		t.Fatalf("%+v", c)
	}
	if _, err := Create(cfg, testIdentity(4)); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("Create over a catalogue: %v", err)
	}
	if _, err := Open(cfg, "other"); !errors.Is(err, arena.ErrDamaged) {
		t.Fatalf("Open as another tenant: %v", err)
	}
	for _, id := range []Identity{
		{Tenant: "x", Generation: 0, Stripes: 1},
		{Tenant: "x", Generation: 1, Stripes: 3},
		{Tenant: "x", Generation: 1, Stripes: 128},
		{Tenant: string(make([]byte, 257)), Generation: 1, Stripes: 1},
	} {
		if _, err := Create(testConfig(faultfs.NewMem()), id); err == nil {
			t.Errorf("Create accepts %+v", id)
		}
	}
}

// TestCatalogueFields shows that what the engine and the log keep in the catalogue is kept, that floor, synced
// commit and segment only rise, and that an epoch begins once.
func TestCatalogueFields(t *testing.T) {
	cfg := testConfig(faultfs.NewMem())
	s, err := Create(cfg, testIdentity(1))
	s = mustStore(t, s, err)
	floor := func(f int64) *int64 { return &f }
	must(t, s.Publish(Update{Floor: floor(500), SyncedThrough: 40, NextSegment: 3, Epoch: 2, EpochStart: 41}))
	must(t, s.Publish(Update{Floor: floor(-9), SyncedThrough: 4, NextSegment: 1}))
	if err := s.Publish(Update{Epoch: 2, EpochStart: 50}); err == nil {
		t.Error("the same epoch began twice")
	}
	again, err := Open(cfg, "anonymous")
	again = mustStore(t, again, err)
	c := again.Catalogue()
	if c.Floor != 500 || c.SyncedThrough != 40 || c.NextSegment != 3 || c.Epoch != 2 || c.EpochStart != 41 {
		t.Fatalf("%+v", c)
	}
}

// TestStripesInParallel writes images of all stripes at once, each publishing its own: under the race
// detector it shows that stripes share nothing but the catalogue.
func TestStripesInParallel(t *testing.T) {
	cfg := testConfig(faultfs.NewMem())
	s, err := Create(cfg, testIdentity(8))
	s = mustStore(t, s, err)
	models := make([]*model, 8)
	var wg sync.WaitGroup
	for i := range models {
		models[i] = newModel(i)
		wg.Go(func() {
			r := rand.New(rand.NewPCG(3, uint64(i)))
			for commit := range uint64(6) {
				models[i].change(r)
				if err := models[i].take(s, commit+1); err != nil {
					t.Error(err)
				}
				s.CutPoint()
				s.Entries(i)
			}
		})
	}
	wg.Wait()
	if got := s.CutPoint(); got != 5 {
		t.Errorf("CutPoint %d, want 5", got)
	}
	again, err := Open(cfg, "anonymous")
	again = mustStore(t, again, err)
	for i := range models {
		wg.Go(func() {
			if l, _, mem, err := load(again, i); err != nil || l.Entry.Commit != 6 || !bytes.Equal(mem, models[i].mem) {
				t.Errorf("stripe %d: %+v, %v", i, l, err)
			}
		})
	}
	wg.Wait()
}

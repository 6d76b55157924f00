package ckpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// twoImages makes a tenant with one stripe, an image of five extents at commit 10 in slot a and one at 20 in
// slot b, and returns the disk and what the stripe held.
func twoImages(t *testing.T) (*faultfs.Mem, *model) {
	t.Helper()
	mem := faultfs.NewMem()
	s, err := Create(testConfig(mem), testIdentity(1))
	s = mustStore(t, s, err)
	r := rand.New(rand.NewPCG(5, 5))
	m := newModel(0)
	for i := range uint32(5) {
		m.mem = append(m.mem, make([]byte, ExtentSize)...)
		m.touch(i)
	}
	for i := range m.mem {
		m.mem[i] = byte(r.Uint32())
	}
	must(t, m.take(s, 10))
	m.change(r)
	must(t, m.take(s, 20))
	return mem, m
}

// flip changes bits of one byte of a file.
func flip(t *testing.T, fsys disk.FS, name string, off int64, mask byte) {
	t.Helper()
	f, err := fsys.OpenRW(name)
	must(t, err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, off)
	must(t, err)
	b[0] ^= mask
	_, err = f.WriteAt(b, off)
	must(t, err)
}

// TestEveryByteOfAnImage damages each byte of the newest image's header, of its table and some of each extent. It
// is found, the error names the place, and the older image is loaded. Bytes that mean nothing change nothing.
func TestEveryByteOfAnImage(t *testing.T) {
	mem, m := twoImages(t)
	cfg := testConfig(mem)
	name := cfg.slotPath(0, SlotB)
	headerLen := int64(headerMin + len(m.meta(20).Chunks)*headerChunk)
	n := m.extents()
	table := tableOffset(n)
	end := table + int64(n)*hashSize

	var offs []int64
	for off := range headerLen {
		offs = append(offs, off)
	}
	for i := range int64(n) {
		for _, in := range []int64{0, 1, 511, 2048, ExtentSize - 1} {
			offs = append(offs, dataOffset+i*ExtentSize+in)
		}
	}
	for off := table; off < end; off++ {
		offs = append(offs, off)
	}
	harmless := []int64{headerLen, dataOffset - 1, end, end + ExtentSize}

	for _, off := range append(offs, harmless...) {
		damaged := mem.Kill()
		flip(t, damaged, name, off, 1<<(off%8))
		l, _, got, err := load(reopen(t, damaged), 0)
		must(t, err)
		if off >= end || off >= headerLen && off < dataOffset {
			if len(l.Failed) > 0 || l.Entry.Commit != 20 || !bytes.Equal(got, m.past[20]) {
				t.Fatalf("byte %d means nothing, but: %+v", off, l)
			}
			continue
		}
		if len(l.Failed) != 1 || l.Entry.Commit != 10 || !bytes.Equal(got, m.past[10]) {
			t.Fatalf("byte %d damaged: %+v", off, l)
		}
		var c *CorruptError
		if !errors.As(l.Failed[0], &c) || c.File != name || c.Unfinished {
			t.Fatalf("byte %d damaged: %v", off, l.Failed[0])
		}
		if off >= dataOffset && off < table && (c.Offset != off/ExtentSize*ExtentSize || !strings.Contains(c.What, fmt.Sprintf("extent %d of", (off-dataOffset)/ExtentSize))) {
			t.Fatalf("byte %d damaged, reported %v", off, c)
		}
	}
}

// TestDamagedSlots shows what is loaded when slots are cut short, gone, exchanged, from elsewhere or both bad:
// the older image, or nothing, never a wrong one; and that the next image makes all good.
func TestDamagedSlots(t *testing.T) {
	cfg := testConfig(nil)
	a, b := cfg.slotPath(0, SlotA), cfg.slotPath(0, SlotB)
	truncate := func(name string, size int64) func(*testing.T, *faultfs.Mem) {
		return func(t *testing.T, mem *faultfs.Mem) {
			f, err := mem.OpenRW(name)
			must(t, err)
			must(t, f.Truncate(size))
			must(t, f.Close())
		}
	}
	for _, c := range []struct {
		name   string
		damage func(*testing.T, *faultfs.Mem)
		commit uint64 // 0 = nothing found
	}{
		{"empty", truncate(b, 0), 10},
		{"cut in the header", truncate(b, 100), 10},
		{"cut in the data", truncate(b, dataOffset+ExtentSize+17), 10},
		{"cut in the table", truncate(b, dataOffset+5*ExtentSize+3), 10},
		{"gone", func(t *testing.T, mem *faultfs.Mem) { must(t, mem.Remove(b)) }, 10},
		{"older one gone", func(t *testing.T, mem *faultfs.Mem) { must(t, mem.Remove(a)) }, 20},
		{"exchanged", func(t *testing.T, mem *faultfs.Mem) {
			must(t, mem.Rename(a, a+"x"))
			must(t, mem.Rename(b, a))
			must(t, mem.Rename(a+"x", b))
		}, 0},
		{"both gone", func(t *testing.T, mem *faultfs.Mem) { must(t, mem.RemoveAll(testDir+"/images")) }, 0},
		{"older one in both", func(t *testing.T, mem *faultfs.Mem) {
			must(t, mem.Remove(b))
			must(t, mem.Link(a, b))
		}, 10},
		{"of another generation", func(t *testing.T, mem *faultfs.Mem) {
			other := faultfs.NewMem()
			id := testIdentity(1)
			id.Generation = 8
			s, err := Create(testConfig(other), id)
			s = mustStore(t, s, err)
			m := newModel(0)
			m.change(rand.New(rand.NewPCG(1, 1)))
			must(t, m.take(s, 20))
			foreign, err := disk.ReadFile(other, a)
			must(t, err)
			must(t, disk.WriteFileAtomic(mem, b, foreign))
		}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem, m := twoImages(t)
			c.damage(t, mem)
			s := reopen(t, mem)
			l, _, got, err := load(s, 0)
			must(t, err)
			if l.Found != (c.commit > 0) || l.Entry.Commit != c.commit || l.Found && !bytes.Equal(got, m.past[c.commit]) {
				t.Fatalf("%+v", l)
			}
			if strings.HasPrefix(c.name, "of another") && !strings.Contains(l.Failed[0].Error(), "foreign image: its generation") {
				t.Errorf("%v does not say that the image is foreign", l.Failed[0])
			}
			for i, f := range l.Failed {
				// A later image in the slot of the older one may be what an interrupted writer left.
				if i == 0 && errors.Is(f, ErrUnfinished) || !errors.Is(f, arena.ErrDamaged) {
					t.Errorf("not reported as damage: %v", f)
				}
			}
			again := loaded(0, got)
			for commit := uint64(30); commit <= 50; commit += 10 {
				again.change(rand.New(rand.NewPCG(commit, 1)))
				must(t, again.take(s, commit))
			}
			if l, _, got, err := load(reopen(t, mem), 0); err != nil || l.Entry.Commit != 50 || len(l.Failed) > 0 || !bytes.Equal(got, again.mem) {
				t.Fatalf("after three more images: %+v, %v", l, err)
			}
		})
	}
}

// TestInterruptedWrite shows that a slot whose writing was cut short is told from a damaged one, and that a writer
// which failed cannot be used again.
func TestInterruptedWrite(t *testing.T) {
	mem, m := twoImages(t)
	fault := &faultfs.Rule{Kinds: faultfs.Write, Path: "images/*", Err: errors.New("cut short"), Skip: 1}
	s, err := Open(testConfig(faultfs.Inject(mem, fault)), "anonymous")
	s = mustStore(t, s, err)
	w := s.Begin(0)
	runs := m.runs(w.Slot, w.All)
	for _, want := range []string{"cut short", ErrOrder.Error()} {
		if err := w.Write(m.meta(30), runs); err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%v, want %s", err, want)
		}
	}
	flip(t, mem, testDir+"/images/00.b", dataOffset, 1)
	l, _, _, err := load(reopen(t, mem), 0)
	must(t, err)
	if l.Found || len(l.Failed) != 2 || errors.Is(l.Failed[0], ErrUnfinished) || !errors.Is(l.Failed[1], ErrUnfinished) {
		t.Fatalf("%+v", l)
	}
}

// TestLoadStops shows that a reason which says nothing about the image (no memory, say) ends the load without
// giving the image up, and that an image which the walk refuses is given up.
func TestLoadStops(t *testing.T) {
	mem, _ := twoImages(t)
	s := reopen(t, mem)
	noMemory := errors.New("no memory")
	if _, err := s.Load(0, func(*Image) error { return noMemory }); !errors.Is(err, noMemory) {
		t.Fatalf("%v", err)
	}
	l, err := s.Load(0, func(im *Image) error {
		if err := im.ReadTo(make([]byte, im.Size())); err != nil {
			return err
		}
		if im.Entry.Commit == 20 {
			return fmt.Errorf("record 5 is outside: %w", arena.ErrDamaged)
		}
		return nil
	})
	if err != nil || l.Entry.Commit != 10 || len(l.Failed) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	if w := s.Begin(0); w.Slot != SlotB || !w.All {
		t.Fatalf("the next image goes to slot %s, all %v: the refused image should be written over", w.Slot, w.All)
	}
	s = reopen(t, mem)
	s.cat.Images[0][0].Commit = 19 // below what the image holds: commits would be replayed twice
	if l, _, _, err := load(s, 0); err != nil || l.Entry.Commit != 10 {
		t.Fatalf("entry below its image: %+v, %v", l, err)
	}
	im := &Image{Meta: Meta{Extents: 2}}
	if err := im.ReadTo(make([]byte, 5)); err == nil {
		t.Error("read into too short a buffer")
	}
}

// TestReadError shows that an image whose bytes the disk does not give back is taken for damaged.
func TestReadError(t *testing.T) {
	for skip := range 4 {
		mem, m := twoImages(t)
		fault := &faultfs.Rule{Kinds: faultfs.Read, Path: "images/*", Err: errors.New("bad sector"), Skip: skip, Times: 1}
		s, err := Open(testConfig(faultfs.Inject(mem, fault)), "anonymous")
		s = mustStore(t, s, err)
		l, _, got, err := load(s, 0)
		must(t, err)
		want := uint64(20)
		if fault.Fired() > 0 {
			want = 10
		}
		if l.Entry.Commit != want || !bytes.Equal(got, m.past[want]) {
			t.Fatalf("read %d failed (%v): %+v", skip, fault.Fired() > 0, l)
		}
	}
}

// TestEveryByteOfTheCatalogue damages each byte of either copy: the other one is used and says the same, and the
// next publication writes it again.
func TestEveryByteOfTheCatalogue(t *testing.T) {
	mem, _ := twoImages(t)
	cfg := testConfig(mem)
	name := cfg.cataloguePath()
	want := reopen(t, mem).Catalogue()
	size := int64(want.encodedSize())
	for off := range size {
		for _, copyOff := range []int64{0, copySize} {
			damaged := mem.Kill()
			flip(t, damaged, name, off+copyOff, 1<<(off%8))
			s := reopen(t, damaged)
			got := s.Catalogue()
			if got.Seq = want.Seq; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("byte %d: %+v", off+copyOff, got)
			}
			must(t, s.Publish(Update{SyncedThrough: 21}))
			flip(t, damaged, name, copySize-copyOff+off, 0x80)
			if got := reopen(t, damaged).Catalogue(); got.SyncedThrough != 21 {
				t.Fatalf("byte %d: not written again: %+v", off+copyOff, got)
			}
		}
	}
}

// rewrite changes bytes of a header and puts the checksum right again: what somebody else may have written.
func rewrite(b []byte, change func([]byte)) []byte {
	b = bytes.Clone(b)
	change(b)
	n := binary.LittleEndian.Uint32(b[24:])
	binary.LittleEndian.PutUint64(b[n-checksumSize:], xxhash.Sum64(b[:n-checksumSize]))
	return b
}

// TestVersions shows that a newer layout and an unknown feature are refused by name, also beside an older intact
// copy, another byte order is refused as what it is, and none of them is mistaken for damage of the disk.
func TestVersions(t *testing.T) {
	mem, _ := twoImages(t)
	cfg := testConfig(mem)
	le := binary.LittleEndian
	for what, change := range map[string]func([]byte){
		"layout 2":  func(b []byte) { le.PutUint32(b[8:], 2) },
		"features":  func(b []byte) { b[16] = 4 },
		"shortened": func(b []byte) { le.PutUint32(b[8:], 9); le.PutUint32(b[24:], preambleSize+checksumSize) },
	} {
		cat, err := disk.ReadFile(mem, cfg.cataloguePath())
		must(t, err)
		other := mem.Kill()
		copy(cat, rewrite(cat[:copySize], change))
		must(t, disk.WriteFileAtomic(other, cfg.cataloguePath(), cat))
		var v *VersionError
		if _, err := Open(testConfig(other), "anonymous"); !errors.As(err, &v) || errors.Is(err, arena.ErrDamaged) {
			t.Errorf("catalogue with %s: %v", what, err)
		}

		img, err := disk.ReadFile(mem, cfg.slotPath(0, SlotB))
		must(t, err)
		other = mem.Kill()
		must(t, disk.WriteFileAtomic(other, cfg.slotPath(0, SlotB), rewrite(img, change)))
		if l, _, _, err := load(reopen(t, other), 0); !errors.As(err, &v) || len(l.Failed) > 0 {
			t.Errorf("image with %s: %+v, %v", what, l, err)
		}
	}
	swapped := func(b []byte) { copy(b[12:], []byte{1, 2, 3, 4}) }
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		swapped = func(b []byte) { copy(b[12:], []byte{4, 3, 2, 1}) }
	}
	img, err := disk.ReadFile(mem, cfg.slotPath(0, SlotB))
	must(t, err)
	if _, _, err := decodeHeader("x", rewrite(img[:dataOffset], swapped)); err == nil || !strings.Contains(err.Error(), "byte order") {
		t.Errorf("other byte order: %v", err)
	}
}

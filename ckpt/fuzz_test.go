package ckpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// mend makes the checksum of a header right, if its length allows, so that fuzzing gets past it.
func mend(b []byte) []byte {
	if len(b) < preambleSize+checksumSize {
		return b
	}
	b = bytes.Clone(b)
	n := binary.LittleEndian.Uint32(b[24:])
	if n >= preambleSize+checksumSize && int64(n) <= int64(len(b)) {
		binary.LittleEndian.PutUint64(b[n-checksumSize:], xxhash.Sum64(b[:n-checksumSize]))
	}
	return b
}

// known tells whether err is one of those that a decoder returns.
func known(err error) bool {
	var v *VersionError
	return errors.Is(err, arena.ErrDamaged) || errors.As(err, &v)
}

func golden(f *testing.F, name string) []byte {
	b, err := os.ReadFile(filepath.Join("testdata", name))
	must(f, err)
	return b
}

// FuzzCatalogue decodes any bytes, with and without a right checksum. What is accepted encodes to the same bytes.
func FuzzCatalogue(f *testing.F) {
	b := golden(f, "layout1.catalogue")
	f.Add(b[:copySize], false)
	f.Add(b[copySize:copySize+300], true)
	f.Add([]byte(catalogueMagic), true)
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		if fix {
			b = mend(b)
		}
		c, err := decodeCatalogue("fuzz", b)
		if err != nil {
			if !known(err) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		if n := c.encodedSize(); !bytes.Equal(c.encode()[:n], b[:n]) {
			t.Fatalf("accepted\n%x\nencodes to\n%x", b[:n], c.encode()[:n])
		}
		_ = c.clone().cutPoint()
	})
}

// FuzzHeader decodes any bytes as the header of an image, with and without a right checksum. What is accepted
// encodes to the same bytes.
func FuzzHeader(f *testing.F) {
	b := golden(f, "layout1.slot")
	f.Add(b[:headerMin+2*headerChunk], false)
	f.Add(b[:headerMin+2*headerChunk], true)
	f.Add([]byte(slotMagic), true)
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		b = b[:min(len(b), dataOffset)]
		if fix {
			b = mend(b)
		}
		h, sum, err := decodeHeader("fuzz", b)
		if err != nil {
			if !known(err) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		again := h.append(nil)
		if !bytes.Equal(again, b[:len(again)]) {
			t.Fatalf("accepted\n%x\nencodes to\n%x", b[:len(again)], again)
		}
		if got := binary.LittleEndian.Uint64(again[len(again)-checksumSize:]); got != sum {
			t.Fatalf("checksum %x, says %x", got, sum)
		}
	})
}

// FuzzImage puts a header in front of data and a table that are cut and patched anywhere, and loads it, with every
// checksum up to the extents' made right if fix says so. It never takes memory beyond the size of the file, and
// what is loaded is the data.
func FuzzImage(f *testing.F) {
	b := golden(f, "layout1.slot")
	head, golden := b[:headerMin+2*headerChunk], b[dataOffset:]
	f.Add(head, uint16(len(golden)), []byte{}, uint16(0), false)
	f.Add(head, uint16(len(golden)), []byte{5}, uint16(4096), true)
	f.Add(head, uint16(5000), []byte{}, uint16(0), true)
	f.Add(head, uint16(20000), []byte("abc"), uint16(2*ExtentSize), true)
	f.Fuzz(func(t *testing.T, head []byte, size uint16, patch []byte, at uint16, fix bool) {
		file := make([]byte, dataOffset+int(size))
		copy(file[:dataOffset], head)
		body := file[dataOffset:]
		copy(body, golden)
		copy(body[min(len(body), int(at)):], patch)
		if fix {
			// The table's hash, if the table is where it seems to be.
			extents := binary.LittleEndian.Uint32(file[128:])
			if off := tableOffset(extents); extents < 1000 && off+int64(extents)*hashSize <= int64(len(file)) {
				binary.LittleEndian.PutUint64(file[152:], xxhash.Sum64(file[off:off+int64(extents)*hashSize]))
			}
			file = mend(file)
		}
		mem := faultfs.NewMem()
		must(t, disk.WriteFileAtomic(mem, "/slot", file))
		cfg := testConfig(mem)
		s := slot{cfg: &cfg, name: "/slot"}
		defer s.close()
		h, sum, err := decodeHeader("/slot", file[:dataOffset])
		if err != nil {
			return
		}
		id := Identity{Tenant: "team-a", Generation: h.generation, Stripes: h.stripes, HashID: h.hashID, RefLayout: h.refLayout}
		im, err := s.openImage(&id, int(h.stripe), Entry{Commit: h.meta.Commit, Header: sum})
		if err == nil {
			if im.Size() > uint64(len(body)) {
				t.Fatalf("an image of %d bytes in a file of %d", im.Size(), len(file))
			}
			dst := make([]byte, im.Size())
			if err = im.ReadTo(dst); err == nil && !bytes.Equal(dst, body[:len(dst)]) {
				t.Fatal("what was loaded is not what is in the file")
			}
		}
		if err != nil && !known(err) {
			t.Fatalf("unexpected error %v", err)
		}
	})
}

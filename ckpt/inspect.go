package ckpt

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/rekindledb/rekindle/arena/disk"
)

// CatalogueCopy is one of the two copies in a catalogue's file.
type CatalogueCopy struct {
	Offset    int64
	Catalogue *Catalogue // nil if it is not intact
	Err       error      // why not
}

// ReadCatalogue reads both copies of a catalogue without changing anything. The one with the greater Seq counts.
// While a process publishes, one of them may be seen half written.
func ReadCatalogue(fsys disk.FS, name string) ([2]CatalogueCopy, error) {
	copies := [2]CatalogueCopy{{Offset: 0}, {Offset: copySize}}
	f, err := fsys.Open(name)
	if err != nil {
		return copies, fmt.Errorf("ckpt: open catalogue: %w", err)
	}
	defer f.Close()
	b := make([]byte, catalogueSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return copies, fmt.Errorf("ckpt: read catalogue: %w", err)
	}
	for i := range copies {
		part := b[min(n, i*copySize):min(n, (i+1)*copySize)]
		copies[i].Catalogue, copies[i].Err = decodeCatalogue(name, part)
	}
	return copies, nil
}

// SlotInfo is what the header of a slot says.
type SlotInfo struct {
	Meta
	Generation uint64
	Tenant     uint64 // xxhash64 of the name
	Stripe     uint32
	Stripes    uint32
	HashID     uint32
	RefLayout  uint32
	Checksum   uint64 // of the header: what names the image in the catalogue
	Size       int64  // of the file; some of it may be allocated ahead of need
	DataOffset int64
	// TableOffset is where the hashes of the extents are.
	TableOffset int64
}

// ReadSlot reads the header of an image, and nothing else. A *CorruptError says that it is none.
func ReadSlot(fsys disk.FS, name string) (SlotInfo, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return SlotInfo{}, fmt.Errorf("ckpt: open image: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return SlotInfo{}, fmt.Errorf("ckpt: size of image %s: %w", name, err)
	}
	b := make([]byte, dataOffset)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return SlotInfo{}, &CorruptError{File: name, What: "image header", Err: err}
	}
	h, sum, err := decodeHeader(name, b[:n])
	if err != nil {
		return SlotInfo{}, err
	}
	return SlotInfo{
		Meta: h.meta, Generation: h.generation, Tenant: h.tenant, Stripe: h.stripe, Stripes: h.stripes,
		HashID: h.hashID, RefLayout: h.refLayout, Checksum: sum, Size: size,
		DataOffset: dataOffset, TableOffset: tableOffset(h.meta.Extents),
	}, nil
}

// CheckImage reads the image that an entry of a tenant's catalogue names: its header, its table and, when take calls
// Image.ReadTo, every extent are compared with their checksums. Unlike Store.Load it looks at one image only and
// decides nothing; the error is what Load would have found, and satisfies errors.Is(err, ErrUnfinished) where nothing
// is damaged.
func CheckImage(fsys disk.FS, dir string, id Identity, of int, e Entry, take func(*Image) error) error {
	cfg := Config{FS: readOnly{fsys}, Dir: dir}.withDefaults()
	s := Store{cfg: cfg, id: id, cat: &Catalogue{}, stripes: make([]stripe, of+1)}
	for i := range s.stripes[of].slots {
		s.stripes[of].slots[i] = slot{cfg: &s.cfg, name: cfg.slotPath(of, SlotID(i))}
	}
	err := s.try(of, e, take)
	if e.Slot != SlotNone {
		err = errors.Join(err, s.stripes[of].slots[e.Slot].close())
	}
	return err
}

// readOnly opens files for reading where a slot would open them for writing too.
type readOnly struct{ disk.FS }

func (r readOnly) OpenRW(name string) (disk.File, error) { return r.Open(name) }

// CataloguePath is the catalogue of the tenant in dir.
func CataloguePath(dir string) string {
	c := Config{Dir: dir}
	return c.cataloguePath()
}

// SlotPath is the file of a stripe's slot.
func SlotPath(dir string, stripe int, slot SlotID) string {
	c := Config{Dir: dir}
	return c.slotPath(stripe, slot)
}

// CutPoint is the greatest commit that no image of the catalogue needs the log for; see Store.CutPoint.
func (c *Catalogue) CutPoint() uint64 { return c.cutPoint() }

// ParseSlotName says of which stripe and slot a file is, by its name.
func ParseSlotName(name string) (stripe int, slot SlotID, ok bool) {
	name = filepath.Base(name)
	var letter rune
	if n, err := fmt.Sscanf(name, "%02d.%c", &stripe, &letter); err != nil || n != 2 || letter != 'a' && letter != 'b' {
		return 0, SlotNone, false
	}
	slot = SlotID(letter - 'a')
	return stripe, slot, filepath.Base(SlotPath("", stripe, slot)) == name
}

package ckpt

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"github.com/rekindledb/rekindle/arena/disk"
)

// rebuild makes a catalogue of what the images say about themselves, after the file was lost (cause is
// fs.ErrNotExist) or neither copy in it is intact. It returns cause if there is no image of the tenant's.
//
// Lost is where idle stripes had been moved to, so that more of the log is replayed for them, and the start of the
// epoch, so that a frozen former owner is not fenced until the next epoch begins.
func rebuild(cfg *Config, tenant string, cause error) (*Catalogue, error) {
	found, err := findImages(cfg, tenant)
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	if len(found) == 0 {
		return nil, cause
	}
	// Newest first: that one says which generation is the present one.
	slices.SortFunc(found, func(a, b foundImage) int {
		return cmp.Or(cmp.Compare(b.meta.Epoch, a.meta.Epoch), cmp.Compare(b.meta.Commit, a.meta.Commit))
	})
	c := &Catalogue{
		Identity: found[0].identity(tenant), EpochStart: math.MaxUint64, Floor: math.MinInt64,
		Images: make([][]Entry, found[0].stripes),
	}
	for _, im := range found {
		if im.identity(tenant) != c.Identity {
			continue
		}
		m := &im.meta
		c.Epoch, c.Floor = max(c.Epoch, m.Epoch), max(c.Floor, m.Floor)
		// Nothing is published that the log had not synced.
		c.SyncedThrough = max(c.SyncedThrough, m.Commit)
		c.NextSegment = max(c.NextSegment, m.Segment+1)
		c.Images[im.stripe] = append(c.Images[im.stripe], Entry{Slot: im.slot, Commit: m.Commit, Header: im.sum, Synced: true})
	}
	c.Epoch += epochsUnseen
	name := cfg.cataloguePath()
	if err := cfg.FS.Rename(name, name+".damaged"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(cause, fmt.Errorf("ckpt: set the damaged catalogue aside: %w", err))
	}
	if err := createCatalogue(cfg, c); err != nil {
		return nil, errors.Join(cause, err)
	}
	cfg.Logger.Error("the catalogue was lost or damaged; it was made anew of what the images say", "file", name, "images", len(found), "err", cause)
	return c, nil
}

// epochsUnseen is how many starts there may have been since the newest image, which only the catalogue knew of:
// the log is of their epochs, and one beyond the catalogue's passes for that of another owner of the directory.
const epochsUnseen = 1 << 16

// foundImage is a slot with an intact header.
type foundImage struct {
	header
	slot SlotID
	sum  uint64
}

func (f *foundImage) identity(tenant string) Identity {
	return Identity{Tenant: tenant, Generation: f.generation, Stripes: f.stripes, HashID: f.hashID, RefLayout: f.refLayout}
}

// findImages reads the headers of all slots and syncs those of the tenant's.
func findImages(cfg *Config, tenant string) ([]foundImage, error) {
	entries, err := cfg.FS.ReadDir(cfg.imagesPath())
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("ckpt: look for images: %w", err)
	}
	var found []foundImage
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		name := filepath.Join(cfg.imagesPath(), e.Name())
		im, err := findImage(cfg, name, tenant)
		var c *CorruptError
		if errors.As(err, &c) {
			cfg.Logger.Warn("not taken into the new catalogue", "file", name, "err", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, im)
	}
	return found, nil
}

func findImage(cfg *Config, name, tenant string) (foundImage, error) {
	f, err := cfg.FS.OpenRW(name)
	if err != nil {
		return foundImage{}, fmt.Errorf("ckpt: look for images: %w", err)
	}
	defer f.Close()
	b := make([]byte, dataOffset)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return foundImage{}, &CorruptError{File: name, What: "image header", Err: err}
	}
	var im foundImage
	if im.header, im.sum, err = decodeHeader(name, b[:n]); err != nil {
		return foundImage{}, err
	}
	id := im.identity(tenant)
	if err := id.validate(); err != nil {
		return foundImage{}, &CorruptError{File: name, What: "image header", Err: err}
	}
	if err := im.belongsTo(name, &id, int(im.stripe)); err != nil {
		return foundImage{}, err
	}
	switch name {
	case cfg.slotPath(int(im.stripe), SlotA):
		im.slot = SlotA
	case cfg.slotPath(int(im.stripe), SlotB):
		im.slot = SlotB
	default:
		return foundImage{}, &CorruptError{File: name, What: "image header", Err: fmt.Errorf("it is an image of stripe %d", im.stripe)}
	}
	if im.stripe >= im.stripes {
		return foundImage{}, &CorruptError{File: name, What: "image header: stripe", Want: uint64(im.stripes), Got: uint64(im.stripe)}
	}
	if err := errors.Join(f.Sync(), cfg.FS.SyncDir(cfg.imagesPath())); err != nil {
		return foundImage{}, fmt.Errorf("ckpt: sync %s: %w", name, err)
	}
	return im, nil
}

// lost tells whether err says that the catalogue is gone or not intact.
func lost(err error) bool {
	var c *CorruptError
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, &c)
}

// exists reports whether something is there, or may be: what cannot be looked at is not taken for missing.
func exists(fsys disk.FS, name string) bool {
	_, err := fsys.Stat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

package ckpt

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/rekindledb/rekindle/arena/disk"
)

// catalogueFile holds the catalogue on disk: two copies, each valid by itself, written one after the other.
// At every moment one of them is durable and not being written. Not safe for concurrent use.
type catalogueFile struct {
	file disk.File
	seq  uint64 // the greatest number ever written or tried
	// target is the copy to write first: the other one is the durable one, once settled.
	target int
	// settled is false until this process has synced the file: copies that were read back may have come
	// from the page cache.
	settled bool
}

// createCatalogue makes the file. There must be none.
func createCatalogue(cfg *Config, c *Catalogue) error {
	name := cfg.cataloguePath()
	b := c.encode()
	if err := disk.WriteFileAtomic(cfg.FS, name, append(b, b...)); err != nil {
		return fmt.Errorf("ckpt: create catalogue: %w", err)
	}
	return nil
}

// openCatalogue reads the newest intact copy.
func openCatalogue(cfg *Config) (*catalogueFile, *Catalogue, error) {
	f, err := cfg.FS.OpenRW(cfg.cataloguePath())
	if err != nil {
		return nil, nil, fmt.Errorf("ckpt: open catalogue: %w", err)
	}
	cf := &catalogueFile{file: f}
	c, err := cf.read(cfg.Logger)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return cf, c, nil
}

func (cf *catalogueFile) read(log *slog.Logger) (*Catalogue, error) {
	b := make([]byte, catalogueSize)
	n, err := cf.file.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("ckpt: read catalogue: %w", err)
	}
	name := cf.file.Name()
	var copies [2]*Catalogue
	var errs [2]error
	for i := range copies {
		copies[i], errs[i] = decodeCatalogue(name, b[min(n, i*copySize):min(n, (i+1)*copySize)])
		var newer *VersionError
		if errors.As(errs[i], &newer) {
			return nil, errs[i]
		}
	}
	best := 0
	switch {
	case copies[0] == nil && copies[1] == nil:
		return nil, errors.Join(errs[0], errs[1])
	case copies[0] == nil || copies[1] != nil && copies[1].Seq > copies[0].Seq:
		best = 1
	}
	if err := errs[1-best]; err != nil {
		// A power cut while it was written, or damage: either way the next publication writes it again.
		log.Warn("one copy of the catalogue is not intact, the other one is used", "file", name, "copy", 1-best, "err", err)
	}
	cf.seq = copies[best].Seq
	cf.target = 1 - best
	return copies[best], nil
}

// write makes c durable, under the next number. After an error either the old or the new catalogue will be
// found, and write may be called again.
func (cf *catalogueFile) write(c *Catalogue) error {
	if !cf.settled {
		if err := cf.file.Sync(); err != nil {
			return fmt.Errorf("ckpt: sync catalogue before it is changed: %w", err)
		}
		cf.settled = true
	}
	// A number is never used twice: what a failed write left must not look like this one.
	cf.seq++
	c.Seq = cf.seq
	b := c.encode()
	if _, err := cf.file.WriteAt(b, int64(cf.target)*copySize); err != nil {
		return fmt.Errorf("ckpt: write catalogue: %w", err)
	}
	if err := cf.file.Sync(); err != nil {
		return fmt.Errorf("ckpt: sync catalogue: %w", err)
	}
	// This copy is durable. The other one follows as soon as the kernel likes; until it is synced, by the next
	// write, it is the one that may be overwritten.
	cf.target = 1 - cf.target
	if _, err := cf.file.WriteAt(b, int64(cf.target)*copySize); err != nil {
		return fmt.Errorf("ckpt: write second copy of catalogue: %w", err)
	}
	return nil
}

func (cf *catalogueFile) close() error { return cf.file.Close() }

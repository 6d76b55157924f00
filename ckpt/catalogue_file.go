package ckpt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/rekindledb/rekindle/arena/disk"
)

// catalogueFile holds the catalogue on disk: two copies, each valid by itself, each with its own number. One is
// written and synced, then the other one is written. So whenever both are intact, the one with the lower number
// is durable, and the other one, durable or not, may be overwritten. Not safe for concurrent use.
type catalogueFile struct {
	file   disk.File
	seq    uint64 // the greatest number ever written or tried
	target int    // the copy to be written next
}

// createCatalogue makes the file and the directory. There must be no such file.
func createCatalogue(cfg *Config, c *Catalogue) error {
	name := cfg.cataloguePath()
	switch _, err := cfg.FS.Stat(name); {
	case err == nil:
		return fmt.Errorf("ckpt: create catalogue %s: %w", name, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("ckpt: create catalogue: %w", err)
	}
	if err := disk.MkdirAllSync(cfg.FS, cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("ckpt: create catalogue: %w", err)
	}
	c.Seq++
	b := c.encode()
	c.Seq++
	b = append(b, c.encode()...)
	if err := disk.WriteFileAtomic(cfg.FS, name, b); err != nil {
		// It may be there, if only its name is not durable, and would be in the way of the next attempt.
		return fmt.Errorf("ckpt: create catalogue: %w", errors.Join(err, Discard(*cfg)))
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
	cf.target = best
	if errs[1-best] != nil {
		cf.target = 1 - best
	}
	return copies[best], nil
}

// write makes c durable. After an error either the old or the new catalogue will be found, and write may be
// called again.
func (cf *catalogueFile) write(c *Catalogue) error {
	if err := cf.writeCopy(c); err != nil {
		return err
	}
	if err := cf.file.Sync(); err != nil {
		return fmt.Errorf("ckpt: sync catalogue: %w", err)
	}
	// From here on c is durable. The other copy reaches the disk when the kernel likes, and is there against
	// damage of this one.
	cf.target = 1 - cf.target
	return cf.writeCopy(c)
}

func (cf *catalogueFile) writeCopy(c *Catalogue) error {
	// A number is never used twice: what a failed write left must not look like this one.
	cf.seq++
	c.Seq = cf.seq
	if _, err := cf.file.WriteAt(c.encode(), int64(cf.target)*copySize); err != nil {
		return fmt.Errorf("ckpt: write copy %d of catalogue: %w", cf.target, err)
	}
	return nil
}

func (cf *catalogueFile) close() error { return cf.file.Close() }

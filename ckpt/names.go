package ckpt

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Names of files, below the tenant's directory.
const (
	catalogueName = "catalogue"
	imagesDir     = "images"
)

func (c *Config) cataloguePath() string { return filepath.Join(c.Dir, catalogueName) }

func (c *Config) imagesPath() string { return filepath.Join(c.Dir, imagesDir) }

// slotPath is images/<stripe>.<a|b>.
func (c *Config) slotPath(stripe int, slot SlotID) string {
	return filepath.Join(c.Dir, imagesDir, fmt.Sprintf("%02d.%c", stripe, 'a'+rune(slot)))
}

// Exists reports whether cfg.Dir is the directory of a tenant: it has a catalogue, or images that tell what was in
// it. If that cannot be found out, Open will say why.
func Exists(cfg Config) bool {
	cfg = cfg.withDefaults()
	return exists(cfg.FS, cfg.cataloguePath()) || exists(cfg.FS, cfg.imagesPath())
}

// Discard takes back a Create whose tenant never came to hold anything, so that it can be made again.
func Discard(cfg Config) error {
	cfg = cfg.withDefaults()
	err := cfg.FS.Remove(cfg.cataloguePath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ckpt: remove the catalogue of a tenant that could not be made: %w", err)
	}
	return nil
}

package ckpt

import (
	"fmt"
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

// Exists reports whether cfg.Dir is the directory of a tenant: it has a catalogue.
func Exists(cfg Config) bool {
	cfg = cfg.withDefaults()
	_, err := cfg.FS.Stat(cfg.cataloguePath())
	return err == nil
}

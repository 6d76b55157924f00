package ckpt

import (
	"log/slog"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
)

// MaxStripes is how many stripes a tenant can have.
const MaxStripes = 64

// Config says where a tenant's images are.
type Config struct {
	FS  disk.FS // default disk.OS
	Dir string  // the tenant's directory

	// Logger gets what nobody is told otherwise: a damaged copy of the catalogue, repaired by the other one.
	// Default slog.Default().
	Logger *slog.Logger

	// RateLimit is called before each write of n bytes to a slot, rarely more than 256 KiB, and may sleep to
	// hold a rate. Default: none.
	RateLimit func(n int)
}

func (c Config) withDefaults() Config {
	if c.FS == nil {
		c.FS = disk.OS
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.RateLimit == nil {
		c.RateLimit = func(int) {}
	}
	return c
}

// Identity is what a tenant's files have in common: a generation of a tenant. A file of another generation
// is a foreign file.
type Identity struct {
	Tenant     string // at most 256 bytes
	Generation uint64 // never 0; another one whenever anything below changes
	Stripes    uint32 // a power of two, at most MaxStripes
	HashID     uint32 // which hash over which bytes places a series
	RefLayout  uint32 // how a series reference is made up
}

// SlotID names one of the two files that a stripe's images are written to in turn. It is also the slot of
// arena.Copy.
type SlotID uint8

// Slots.
const (
	SlotA SlotID = 0
	SlotB SlotID = 1
	// SlotNone is the slot of an entry that has no file: the image of a stripe that never held anything.
	SlotNone SlotID = 2
)

// String returns a, b or none.
func (s SlotID) String() string {
	return [...]string{"a", "b", "none"}[min(s, SlotNone)]
}

// Entry is a line of the catalogue: one image of a stripe.
type Entry struct {
	Slot SlotID
	// Commit: the image together with nothing else is the stripe as of this commit. It can be greater than the
	// commit in the image's header: a stripe that got nothing since is moved on without being written.
	Commit uint64
	// Header is the checksum of the image's header, so that no other image can take its place. 0 for SlotNone.
	Header uint64
	// Synced is false for an image that a clean stop wrote: whether it survives a power cut is not known.
	Synced bool
}

// Meta is what an image says about itself. Commit and Extents are this package's; the rest is the engine's
// and only kept here.
type Meta struct {
	Commit  uint64 // the image holds exactly the stripe's entries of the commits up to this one
	Extents uint32 // size of the arena, in extents

	Layout   uint32 // version of what the extents hold
	Epoch    uint64 // epoch of the process that wrote it
	Floor    int64  // floor of the tenant when it was written, ms
	Series   uint64 // series alive
	MaxIndex uint64 // greatest series index ever given out in this stripe
	MinTime  int64  // of the samples in it, ms; MinTime > MaxTime when there are none
	MaxTime  int64
	Segment  uint64 // the log's newest segment at the commit: the next one is greater, whatever happens to the log

	// Chunks are the stripe's files of closed chunks, and how far the image knows them.
	Chunks []ChunkFile
}

// ChunkFile is a file of closed chunks: what lies below Length was synced before the image was published.
type ChunkFile struct {
	ID     uint64
	Length int64
}

// ExtentSize is the unit in which images are written and checked.
const ExtentSize = 4096

var _ [ExtentSize]struct{} = [arena.ExtentSize]struct{}{}

package ckpt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
)

// writeSize is the most that one write takes: large enough for the kernel, small enough for a rate limit to be
// smooth, and what was hashed is still in the cache when it is copied.
const writeSize = 256 << 10

// slot is one of a stripe's two files. One goroutine at a time uses it.
type slot struct {
	cfg  *Config
	name string
	file disk.File // nil until it is needed

	// size is how far the file has blocks.
	size int64
	// named is true once the file's name is known to be durable.
	named bool

	// whole is true while the file holds the image that extents and table describe, so that an image taken
	// later can be made of it by writing what changed.
	whole   bool
	extents uint32
	table   []byte // an extent's xxhash64 each, as in the file
}

// open opens the file, which must be there.
func (s *slot) open() error {
	if s.file != nil {
		return nil
	}
	f, err := s.cfg.FS.OpenRW(s.name)
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.file, s.size = f, size
	return nil
}

// reserve makes sure that the file is there and has blocks for extents extents.
func (s *slot) reserve(extents uint32) error {
	err := s.open()
	if errors.Is(err, fs.ErrNotExist) {
		if err := disk.MkdirAllSync(s.cfg.FS, s.cfg.imagesPath(), 0o755); err != nil {
			return err
		}
		s.file, err = s.cfg.FS.Create(s.name)
		s.size = 0
	}
	if err != nil {
		return err
	}
	need := slotSize(extents)
	if need <= s.size {
		return nil
	}
	// Some room to grow into, so that it is not asked for with every image; not if the disk is nearly full.
	ahead := (need + need/8 + dataOffset - 1) / dataOffset * dataOffset
	if err = s.file.Allocate(ahead); err != nil {
		ahead = need
		err = s.file.Allocate(need)
	}
	if err != nil {
		return err
	}
	s.size = ahead
	return nil
}

// write makes the file hold the image of h, of which runs have changed since the image that is in it.
// Nothing is synced.
func (s *slot) write(h *header, runs []arena.Run) (headerSum uint64, written int64, err error) {
	if err := s.reserve(h.meta.Extents); err != nil {
		return 0, 0, fmt.Errorf("ckpt: reserve space for %s: %w", s.name, err)
	}
	w := slotWriter{slot: s, synced: time.Now()}
	// From here on the file holds no valid image until the new header is in place.
	w.put(make([]byte, headerMin), 0)
	s.resize(h.meta.Extents)
	for _, r := range runs {
		w.extents(r)
	}
	w.put(s.table, tableOffset(h.meta.Extents))
	h.tableHash = xxhash.Sum64(s.table)
	b := h.append(nil)
	w.put(b, 0)
	if w.err != nil {
		return 0, w.written, fmt.Errorf("ckpt: write %s: %w", s.name, w.err)
	}
	return binary.LittleEndian.Uint64(b[len(b)-checksumSize:]), w.written, nil
}

// resize makes the table one of extents entries.
func (s *slot) resize(extents uint32) {
	n := int(extents) * hashSize
	if n > cap(s.table) {
		s.table = append(make([]byte, 0, n+n/8), s.table...)
	}
	s.table = s.table[:n]
	s.extents = extents
}

// sync makes what was written durable, the file's name included.
func (s *slot) sync() error {
	err := s.file.Sync()
	if err == nil && !s.named {
		err = s.cfg.FS.SyncDir(s.cfg.imagesPath())
		s.named = err == nil
	}
	if err != nil {
		return fmt.Errorf("ckpt: sync %s: %w", s.name, err)
	}
	return nil
}

func (s *slot) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file, s.whole = nil, false
	return err
}

// slotWriter writes to a slot's file until the first error.
type slotWriter struct {
	slot    *slot
	written int64
	synced  time.Time // when it last was, or writing began
	err     error
}

// syncEvery is how much time of writing is synced together: a write that is spread over a long time must not reach the
// disk in one burst at its end. It is no promise, which Writer.Sync is.
const syncEvery = time.Second

func (w *slotWriter) put(b []byte, off int64) {
	if w.err != nil {
		return
	}
	w.slot.cfg.RateLimit(len(b))
	_, w.err = w.slot.file.WriteAt(b, off)
	w.written += int64(len(b))
	if w.err == nil && time.Since(w.synced) > syncEvery {
		w.err = w.slot.file.Sync()
		w.synced = time.Now()
	}
}

// extents writes a run of extents and enters their hashes in the table.
func (w *slotWriter) extents(r arena.Run) {
	table := w.slot.table[int(r.First)*hashSize:]
	off := tableOffset(r.First)
	for b := r.Data; len(b) > 0 && w.err == nil; {
		piece := b[:min(len(b), writeSize)]
		for i := 0; i < len(piece); i += ExtentSize {
			binary.LittleEndian.PutUint64(table, xxhash.Sum64(piece[i:i+ExtentSize]))
			table = table[hashSize:]
		}
		w.put(piece, off)
		off += int64(len(piece))
		b = b[len(piece):]
	}
}

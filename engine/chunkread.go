package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rekindledb/rekindle/arena/disk"
)

// chunkFile is a file that can be read. It is mapped when somebody reads it.
type chunkFile struct {
	size atomic.Int64 // bytes that may be read

	mu   sync.RWMutex // held for reading while bytes are copied out of m
	m    disk.Mapping // nil if it is not mapped
	name string
}

// maxMapped bounds the mapped files of a stripe: a day of ranges and some more, since a query reads the files of its
// time range over and over, series by series.
const maxMapped = 16

// read copies the chunk at l behind dst, without the stripe's lock, and checks that it belongs to ref.
func (c *chunkStore) read(l link, ref uint64, dst []byte) (h chunkHead, data []byte, err error) {
	c.files.RLock()
	f := c.files.m[l.file()]
	c.files.RUnlock()
	if f == nil {
		return h, dst, c.at(l, fmt.Errorf("%w: no image names the file", fs.ErrNotExist))
	}
	size := f.size.Load()
	if off := l.offset(); off < fileHeadSize || off >= size {
		return h, dst, c.at(l, fmt.Errorf("offset outside the file's %d bytes", size))
	}
	f.mu.RLock()
	for !f.covers(size) {
		f.mu.RUnlock()
		if err := c.mapFile(f, size); err != nil {
			return h, dst, c.at(l, err)
		}
		f.mu.RLock()
	}
	h, data, err = f.copyOut(l.offset(), size, dst)
	f.mu.RUnlock()
	if err == nil {
		err = h.isOf(ref)
	}
	if err != nil {
		return h, data, c.at(l, err)
	}
	return h, data, nil
}

// at says which chunk an error is about.
func (c *chunkStore) at(l link, err error) error {
	return fmt.Errorf("chunk file %s at offset %d: %w", chunkFileName(c.stripe, l.file()), l.offset(), err)
}

// copyOut copies a chunk. Under mu.
func (f *chunkFile) copyOut(off, size int64, dst []byte) (h chunkHead, data []byte, err error) {
	// A page that the disk cannot deliver is a signal; no stripe lock is held here.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading the mapped file: %v", p)
		}
	}()
	h, b, err := parseChunk(f.m.Bytes()[off:size])
	if err != nil {
		return h, dst, err
	}
	return h, append(dst, b...), nil
}

func (f *chunkFile) covers(size int64) bool { return f.m != nil && int64(len(f.m.Bytes())) >= size }

// mapFile maps at least size bytes of a file. If too many are mapped then, the one that was mapped the longest ago
// no longer is.
func (c *chunkStore) mapFile(f *chunkFile, size int64) error {
	if err := f.remap(c.fs, size); err != nil {
		return err
	}
	var old *chunkFile
	c.mapped.Lock()
	if !slices.Contains(c.mapped.files, f) {
		c.mapped.files = append(c.mapped.files, f)
	}
	if len(c.mapped.files) > maxMapped {
		old = c.mapped.files[0]
		c.mapped.files = slices.Delete(c.mapped.files, 0, 1)
	}
	c.mapped.Unlock()
	if old != nil {
		return old.unmap()
	}
	return nil
}

// remap maps what has been written since the file was last mapped. Mappings are made for the allocated size,
// which is ahead of what is written, so that this is rare; they need no open file.
func (f *chunkFile) remap(fsys disk.FS, size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.covers(size) {
		return nil
	}
	file, err := fsys.Open(f.name)
	if err != nil {
		return err
	}
	defer file.Close()
	if allocated, err := file.Size(); err != nil {
		return err
	} else if allocated < size {
		return fmt.Errorf("the file has %d bytes, %d are named", allocated, size)
	} else {
		size = allocated
	}
	m, err := file.Map(size, false)
	if err != nil {
		return err
	}
	err = f.unmapLocked()
	f.m = m
	return err
}

func (f *chunkFile) unmap() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unmapLocked()
}

func (f *chunkFile) unmapLocked() error {
	if f.m == nil {
		return nil
	}
	m := f.m
	f.m = nil
	return m.Unmap()
}

// truncate cuts the file, open for writing as w, behind what may be read. No mapping may reach beyond it.
func (f *chunkFile) truncate(w disk.File) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.unmapLocked(), w.Truncate(f.size.Load()))
}

// errNewerChunks: a chunk file was written by a newer version.
var errNewerChunks = errors.New("written by a newer version")

// adopt takes over the files in dir that an image names. A file that is missing, too short or not ours is reported;
// chunks in it fail when they are read. It stays named, by the images to come too, else it would pass for an orphan
// and be removed, though all that is wrong may be that too many files are open.
func (c *chunkStore) adopt(dir string, lengths map[uint32]int64) error {
	var errs []error
	for id, length := range lengths {
		f := &chunkFile{name: filepath.Join(dir, chunkFileName(c.stripe, id))}
		f.size.Store(length)
		c.files.m[id] = f
		if err := f.verify(c.fs, fileHead{stripe: uint32(c.stripe), generation: c.generation, id: id}); err != nil {
			errs = append(errs, fmt.Errorf("chunk file %s: %w", f.name, err))
		}
	}
	return errors.Join(errs...)
}

// moved tells that the files in a folder lie in another one now.
func (c *chunkStore) moved(from, to string) {
	c.files.RLock()
	defer c.files.RUnlock()
	for _, f := range c.files.m {
		f.mu.Lock()
		if filepath.Dir(f.name) == from {
			f.name = filepath.Join(to, filepath.Base(f.name))
		}
		f.mu.Unlock()
	}
}

// verify compares the file's size with what an image says, and its header with the one that it should have. Of
// another one's file nothing is read. A header that is damaged says nothing: chunks have checksums and references
// of their own.
func (f *chunkFile) verify(fsys disk.FS, want fileHead) error {
	file, err := fsys.Open(f.name)
	if err != nil {
		return err
	}
	defer file.Close()
	if size, err := file.Size(); err == nil && size < f.size.Load() {
		named := f.size.Swap(size)
		return fmt.Errorf("%d bytes, the image names %d", size, named)
	}
	var b [fileHeadSize]byte
	if _, err := file.ReadAt(b[:], 0); err != nil {
		return err
	}
	h, err := parseFileHead(b[:])
	if err != nil {
		return err
	}
	if want.rng = h.rng; h != want {
		f.size.Store(0)
		return fmt.Errorf("it is file %d of stripe %d, generation %d, not file %d of stripe %d, generation %d",
			h.id, h.stripe, h.generation, want.id, want.stripe, want.generation)
	}
	return nil
}

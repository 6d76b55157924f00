package overlay

import (
	"errors"
	"io/fs"
	"sync/atomic"

	"github.com/rekindledb/rekindle/arena/disk"
)

// file is an open file.
type file struct {
	*contents
	name     string
	writable bool
	closed   atomic.Bool
}

func (f *file) Name() string { return f.name }

func (f *file) Close() error {
	if f.closed.Swap(true) {
		return f.fail("close", fs.ErrClosed)
	}
	return f.release()
}

func (f *file) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// check refuses what cannot be done with this handle. mu is held.
func (f *file) check(op string, write bool, off int64) error {
	switch {
	case f.closed.Load():
		return f.fail(op, fs.ErrClosed)
	case write && !f.writable:
		return f.fail(op, fs.ErrPermission)
	case off < 0:
		return f.fail(op, fs.ErrInvalid)
	}
	return nil
}

func (f *file) ReadAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check("read", false, off); err != nil {
		return 0, err
	}
	return f.readAt(b, off)
}

func (f *file) WriteAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check("write", true, off); err != nil {
		return 0, err
	}
	return f.writeAt(b, off)
}

func (f *file) Size() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.size, f.check("size", false, 0)
}

func (f *file) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check("truncate", true, size); err != nil {
		return err
	}
	f.truncate(size)
	return nil
}

// Sync does nothing: nothing here is durable, and nobody is told that it is.
func (f *file) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.check("sync", false, 0)
}

func (f *file) Allocate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check("allocate", true, size); err != nil {
		return err
	}
	if size > f.size {
		f.truncate(size)
	}
	return nil
}

var errMapWritable = errors.New("an overlay's files cannot be mapped for writing")

// Map maps the file below where nothing in [0, size) was changed, and copies it otherwise.
func (f *file) Map(size int64, writable bool) (disk.Mapping, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check("map", writable, size); err != nil {
		return nil, err
	}
	if writable {
		return nil, f.fail("map", errMapWritable)
	}
	if size > f.size {
		return nil, f.fail("map", fs.ErrInvalid)
	}
	changed := size > f.below
	for i := range f.blocks {
		changed = changed || i*blockSize < size
	}
	if !changed {
		return f.contents.file.Map(size, false)
	}
	b := make(copied, size)
	if _, err := f.readAt(b, 0); err != nil {
		return nil, f.fail("map", err)
	}
	return b, nil
}

// copied is a mapping that is a copy.
type copied []byte

func (c copied) Bytes() []byte                { return c }
func (c copied) SyncRange(int64, int64) error { return nil }
func (c copied) Unmap() error                 { return nil }

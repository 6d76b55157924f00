package faultfs

import (
	"github.com/rekindledb/rekindle/arena/disk"
)

// file is an open file of Faults. Name goes through as it is.
type file struct {
	disk.File
	faults *Faults
}

// syncFailer is a file that can be told that a Sync was made to fail: Mem's.
type syncFailer interface{ failSync() }

func (f *file) begin(kind Kind, off, size int64) action {
	return f.faults.begin(Op{Kind: kind, Name: f.Name(), Off: off, Size: size})
}

func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	a := f.begin(Read, off, int64(len(p)))
	if !a.skip() {
		n, err = f.File.ReadAt(p, off)
	}
	return n, a.end(err)
}

func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	a := f.begin(Write, off, int64(len(p)))
	if a.skip() {
		p = p[:min(a.tear, len(p))]
	}
	if !a.skip() || len(p) > 0 {
		n, err = f.File.WriteAt(p, off)
	}
	return n, a.end(err)
}

func (f *file) Size() (size int64, err error) {
	a := f.begin(Size, 0, 0)
	if !a.skip() {
		size, err = f.File.Size()
	}
	return size, a.end(err)
}

func (f *file) Truncate(size int64) (err error) {
	a := f.begin(Truncate, 0, size)
	if !a.skip() {
		err = f.File.Truncate(size)
	}
	return a.end(err)
}

func (f *file) Allocate(size int64) (err error) {
	a := f.begin(Allocate, 0, size)
	if !a.skip() {
		err = f.File.Allocate(size)
	}
	return a.end(err)
}

func (f *file) Sync() (err error) {
	a := f.begin(Sync, 0, 0)
	switch m, ok := f.File.(syncFailer); {
	case !a.skip():
		err = f.File.Sync()
	case ok:
		m.failSync()
	}
	return a.end(err)
}

func (f *file) Close() error {
	a := f.begin(Close, 0, 0)
	return a.end(f.File.Close())
}

func (f *file) Map(size int64, writable bool) (disk.Mapping, error) {
	a := f.begin(Map, 0, size)
	var inner disk.Mapping
	var err error
	if !a.skip() {
		inner, err = f.File.Map(size, writable)
	}
	if err = a.end(err); err != nil {
		if inner != nil {
			inner.Unmap()
		}
		return nil, err
	}
	return &mapping{inner, f}, nil
}

type mapping struct {
	disk.Mapping
	file *file
}

func (m *mapping) SyncRange(off, size int64) (err error) {
	a := m.file.begin(SyncRange, off, size)
	switch f, ok := m.file.File.(syncFailer); {
	case !a.skip():
		err = m.Mapping.SyncRange(off, size)
	case ok:
		f.failSync()
	}
	return a.end(err)
}

func (m *mapping) Unmap() error {
	a := m.file.begin(Unmap, 0, 0)
	return a.end(m.Mapping.Unmap())
}

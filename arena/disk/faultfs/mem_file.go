package faultfs

import (
	"fmt"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
)

type memFile struct {
	mem      *Mem
	node     *node
	name     string
	writable bool
	closed   bool
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return fail(op, f.name, err)
}

// usable says why an operation cannot be: what a closed file or one open for reading is asked is never done.
func (f *memFile) usable(write bool, off int64) error {
	switch {
	case f.closed:
		return fs.ErrClosed
	case off < 0:
		return fs.ErrInvalid
	case write && !f.writable:
		return unix.EBADF
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.mem.mu.RLock()
	defer f.mem.mu.RUnlock()
	if err := f.usable(false, off); err != nil {
		return 0, f.fail("read", err)
	}
	n := 0
	if off < int64(len(f.node.data)) {
		n = copy(p, f.node.data[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	if err := f.usable(true, off); err != nil {
		return 0, f.fail("write", err)
	}
	n, err := f.mem.write(f.node, p, off)
	return n, f.fail("write", err)
}

// write writes as much of p as there is room for.
func (m *Mem) write(n *node, p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	end := off + int64(len(p))
	from, to, room := off/blockSize, blocksOf(end), m.room()
	var err error
	for i := from; i < to; i++ {
		if n.isPlaced(i) {
			continue
		}
		if room == 0 {
			to, end, err = i, max(off, i*blockSize), unix.ENOSPC
			break
		}
		room--
	}
	if end == off {
		return 0, err
	}
	if serr := m.setSize(n, max(end, int64(len(n.data)))); serr != nil {
		return 0, serr
	}
	m.put(n, from, to)
	n.touch(off, end)
	n.modified = time.Now()
	return copy(n.data[off:end], p), err
}

func (f *memFile) Size() (int64, error) {
	f.mem.mu.RLock()
	defer f.mem.mu.RUnlock()
	return int64(len(f.node.data)), f.fail("stat", f.usable(false, 0))
}

func (f *memFile) Truncate(size int64) error {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	err := f.usable(true, size)
	if err == nil {
		err = f.mem.setSize(f.node, size)
	}
	return f.fail("truncate", err)
}

func (f *memFile) Allocate(size int64) error {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	err := f.usable(true, size)
	if err == nil {
		err = f.mem.allocate(f.node, size)
	}
	return f.fail("allocate", err)
}

func (m *Mem) allocate(n *node, size int64) error {
	need := int64(0)
	for i := range blocksOf(size) {
		if !n.isPlaced(i) {
			need++
		}
	}
	if need > m.room() {
		return unix.ENOSPC
	}
	if err := m.setSize(n, max(size, int64(len(n.data)))); err != nil {
		return err
	}
	m.put(n, 0, blocksOf(size))
	return nil
}

func (f *memFile) Sync() error {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	err := f.usable(false, 0)
	if err == nil {
		f.node.sync()
	}
	return f.fail("sync", err)
}

func (f *memFile) failSync() {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	f.node.failSync()
}

func (f *memFile) Close() error {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	if f.closed {
		return f.fail("close", fs.ErrClosed)
	}
	f.closed = true
	f.node.opens--
	f.mem.release(f.node)
	return nil
}

// Lock is held by a node, so that it ends with the node and a renamed file stays locked.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, n, err := m.place(name)
	if err == nil && n != nil && n.names != nil {
		err = unix.EISDIR
	}
	if err != nil {
		return nil, fail("open", name, err)
	}
	if n == nil {
		n = &node{modified: time.Now()}
		m.change(change{dir: dir, name: base, node: n})
	}
	if m.locked[n] {
		return nil, fmt.Errorf("disk: lock %s: %w", name, disk.ErrLocked)
	}
	m.locked[n] = true
	return &memLock{mem: m, node: n, name: name}, nil
}

type memLock struct {
	mem  *Mem
	node *node // nil once closed
	name string
}

func (l *memLock) Close() error {
	l.mem.mu.Lock()
	defer l.mem.mu.Unlock()
	if l.node == nil {
		return fail("close", l.name, fs.ErrClosed)
	}
	delete(l.mem.locked, l.node)
	l.node = nil
	return nil
}

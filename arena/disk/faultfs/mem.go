package faultfs

import (
	"cmp"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
)

// Mem is a file system in memory that remembers what was synced. It is safe for concurrent use, and Crash sees
// all of it at one instant. Relative names start at the root.
type Mem struct {
	mu       sync.RWMutex
	root     *node
	changes  []change // of names, not durable yet, in order
	used     int64    // blocks with a place on the disk
	capacity int64    // blocks, < 0 for no limit
	locked   map[*node]bool
}

var _ disk.FS = (*Mem)(nil)

// NewMem returns an empty file system without a limit on its size.
func NewMem() *Mem {
	return &Mem{root: newDir(), capacity: -1, locked: map[*node]bool{}}
}

// SetCapacity limits what all files together may hold, in bytes, from now on: a write that needs a new block
// beyond it fails with ENOSPC after the part that still fits. Names take no room. 0 is an always full disk,
// less than 0 is no limit.
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
	if bytes > 0 {
		m.capacity = bytes / blockSize
	}
}

func (m *Mem) Free(name string) (uint64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, err := m.find(name); err != nil {
		return 0, fail("statfs", name, err)
	}
	if m.capacity < 0 {
		return math.MaxInt64, nil
	}
	return uint64(max(m.capacity-m.used, 0) * blockSize), nil
}

func fail(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func clean(name string) string {
	return path.Join("/", filepath.ToSlash(name))
}

// find returns the node of a name.
func (m *Mem) find(name string) (*node, error) {
	n := m.root
	for _, elem := range strings.Split(clean(name), "/") {
		if n.names == nil {
			return nil, unix.ENOTDIR
		}
		if elem == "" {
			continue
		}
		if n = n.names[elem]; n == nil {
			return nil, unix.ENOENT
		}
	}
	return n, nil
}

// place returns the directory of a name, its last element, and the node it has there, if any.
func (m *Mem) place(name string) (dir *node, base string, n *node, err error) {
	parent, base := path.Split(clean(name))
	if base == "" {
		return nil, "", nil, unix.EBUSY // the root
	}
	if dir, err = m.find(parent); err != nil {
		return nil, "", nil, err
	}
	if dir.names == nil {
		return nil, "", nil, unix.ENOTDIR
	}
	return dir, base, dir.names[base], nil
}

func (m *Mem) Open(name string) (disk.File, error)   { return m.open(name, false) }
func (m *Mem) OpenRW(name string) (disk.File, error) { return m.open(name, true) }

func (m *Mem) open(name string, writable bool) (disk.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && n.names != nil {
		err = unix.EISDIR
	}
	if err != nil {
		return nil, fail("open", name, err)
	}
	n.opens++
	return &memFile{mem: m, node: n, name: name, writable: writable}, nil
}

func (m *Mem) Create(name string) (disk.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, n, err := m.place(name)
	if err == nil && n != nil {
		err = unix.EEXIST
	}
	if err != nil {
		return nil, fail("open", name, err)
	}
	n = &node{modified: time.Now(), opens: 1}
	m.change(change{dir: dir, name: base, node: n})
	return &memFile{mem: m, node: n, name: name, writable: true}, nil
}

func (m *Mem) MkdirAll(name string, _ fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir := m.root
	for _, elem := range strings.Split(clean(name), "/") {
		if elem == "" {
			continue
		}
		next := dir.names[elem]
		if next == nil {
			next = newDir()
			m.change(change{dir: dir, name: elem, node: next})
		}
		if next.names == nil {
			return fail("mkdir", name, unix.ENOTDIR)
		}
		dir = next
	}
	return nil
}

func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, n, err := m.place(name)
	switch {
	case err != nil:
	case n == nil:
		err = unix.ENOENT
	case len(n.names) > 0:
		err = unix.ENOTEMPTY
	}
	if err != nil {
		return fail("remove", name, err)
	}
	m.change(change{dir: dir, name: base, node: n, gone: true})
	return nil
}

func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, n, err := m.place(name)
	if err == unix.ENOENT || err == nil && n == nil {
		return nil
	}
	if err != nil {
		return fail("removeall", name, err)
	}
	m.removeTree(dir, base, n)
	return nil
}

func (m *Mem) removeTree(dir *node, name string, n *node) {
	for _, base := range n.sortedNames() {
		m.removeTree(n, base, n.names[base])
	}
	m.change(change{dir: dir, name: name, node: n, gone: true})
}

func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func (m *Mem) rename(from, to string) error {
	fromDir, fromBase, n, err := m.place(from)
	if err != nil {
		return err
	}
	toDir, toBase, old, err := m.place(to)
	switch {
	case err != nil:
		return err
	case n == nil:
		return unix.ENOENT
	case n == old: // two names of one file: POSIX has rename do nothing
		return nil
	case old != nil && old.names != nil:
		return unix.EEXIST // as os.Rename has it, also for an empty directory
	case old != nil && n.names != nil:
		return unix.ENOTDIR
	case n.names != nil && strings.HasPrefix(clean(to), clean(from)+"/"):
		return unix.EINVAL
	}
	m.change(change{dir: toDir, name: toBase, node: n, fromDir: fromDir, fromName: fromBase})
	return nil
}

func (m *Mem) Link(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(from)
	if err == nil && n.names != nil {
		err = unix.EPERM
	}
	var dir, there *node
	var base string
	if err == nil {
		dir, base, there, err = m.place(to)
	}
	if err == nil && there != nil {
		err = unix.EEXIST
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: from, New: to, Err: err}
	}
	m.change(change{dir: dir, name: base, node: n})
	return nil
}

func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	dir, err := m.find(name)
	if err == nil && dir.names == nil {
		err = unix.ENOTDIR
	}
	if err != nil {
		return nil, fail("readdir", name, err)
	}
	entries := make([]fs.DirEntry, 0, len(dir.names))
	for base, n := range dir.names {
		entries = append(entries, fs.FileInfoToDirEntry(n.info(base)))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, nil
}

func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.find(name)
	if err != nil {
		return nil, fail("stat", name, err)
	}
	return n.info(path.Base(clean(name))), nil
}

func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, err := m.find(name)
	if err == nil && dir.names == nil {
		err = unix.ENOTDIR
	}
	if err != nil {
		return fail("sync", name, err)
	}
	m.settle(dir)
	return nil
}

package overlay

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
)

// FS is the overlay. Names begin at "/".
type FS struct {
	under disk.FS

	mu   sync.Mutex
	root *node
}

var _ disk.FS = (*FS)(nil)

// New returns an empty overlay over fsys: nothing of it can be seen before Mount.
func New(fsys disk.FS) *FS { return &FS{under: fsys, root: newDir()} }

// Mount shows a file or directory of the file system below under another name. Missing directories above it are
// made here.
func (o *FS) Mount(at, path string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := below(o.under, path)
	if err != nil {
		return err
	}
	dir, name, err := o.parent("mount", at, true)
	if err != nil {
		return err
	}
	dir.children[name] = n
	return nil
}

func parts(name string) []string {
	name = strings.Trim(filepath.ToSlash(filepath.Clean(name)), "/")
	if name == "" || name == "." {
		return nil
	}
	return strings.Split(name, "/")
}

// find returns the node of a name. mu is held.
func (o *FS) find(op, name string, create bool) (*node, error) {
	n := o.root
	for _, p := range parts(name) {
		if n.file != nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: errNotDir}
		}
		if err := n.list(o.under); err != nil {
			return nil, err
		}
		next := n.children[p]
		if next == nil {
			if !create {
				return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
			}
			next = newDir()
			n.children[p] = next
		}
		n = next
	}
	return n, nil
}

// parent returns the directory in which name is, with its children read, and the name's last part. mu is held.
func (o *FS) parent(op, name string, create bool) (*node, string, error) {
	p := parts(name)
	if len(p) == 0 {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, err := o.find(op, strings.Join(p[:len(p)-1], "/"), create)
	if err == nil && n.file != nil {
		err = &fs.PathError{Op: op, Path: name, Err: errNotDir}
	}
	if err == nil {
		err = n.list(o.under)
	}
	return n, p[len(p)-1], err
}

// As the kernel has it.
const (
	errNotDir   = unix.ENOTDIR
	errIsDir    = unix.EISDIR
	errNotEmpty = unix.ENOTEMPTY
)

// Open implements disk.FS.
func (o *FS) Open(name string) (disk.File, error) { return o.open("open", name, false) }

// OpenRW implements disk.FS.
func (o *FS) OpenRW(name string) (disk.File, error) { return o.open("open", name, true) }

func (o *FS) open(op, name string, writable bool) (disk.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.find(op, name, false)
	if err != nil {
		return nil, err
	}
	if n.file == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: errIsDir}
	}
	if err := n.file.acquire(); err != nil {
		return nil, err
	}
	return &file{contents: n.file, name: name, writable: writable}, nil
}

// Create implements disk.FS.
func (o *FS) Create(name string) (disk.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	dir, last, err := o.parent("create", name, false)
	if err != nil {
		return nil, err
	}
	if dir.children[last] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	n := newFile(o.under)
	dir.children[last] = n
	return &file{contents: n.file, name: name, writable: true}, n.file.acquire()
}

// MkdirAll implements disk.FS.
func (o *FS) MkdirAll(name string, _ fs.FileMode) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.find("mkdir", name, true)
	if err == nil && n.file != nil {
		err = &fs.PathError{Op: "mkdir", Path: name, Err: errNotDir}
	}
	return err
}

// Remove implements disk.FS.
func (o *FS) Remove(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	dir, last, err := o.parent("remove", name, false)
	if err != nil {
		return err
	}
	n := dir.children[last]
	if n == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if n.file == nil {
		if err := n.list(o.under); err != nil {
			return err
		}
		if len(n.children) > 0 {
			return &fs.PathError{Op: "remove", Path: name, Err: errNotEmpty}
		}
	}
	delete(dir.children, last)
	return nil
}

// RemoveAll implements disk.FS.
func (o *FS) RemoveAll(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	dir, last, err := o.parent("remove", name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	delete(dir.children, last)
	return nil
}

// Rename implements disk.FS.
func (o *FS) Rename(from, to string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	source, a, err := o.parent("rename", from, false)
	if err != nil {
		return err
	}
	target, b, err := o.parent("rename", to, false)
	if err != nil {
		return err
	}
	n, there := source.children[a], target.children[b]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	if there != nil && there != n && (n.file == nil || there.file == nil) {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	delete(source.children, a)
	target.children[b] = n
	return nil
}

// Link implements disk.FS.
func (o *FS) Link(from, to string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.find("link", from, false)
	if err != nil {
		return err
	}
	dir, last, err := o.parent("link", to, false)
	switch {
	case err != nil:
		return err
	case n.file == nil:
		return &fs.PathError{Op: "link", Path: from, Err: errIsDir}
	case dir.children[last] != nil:
		return &fs.PathError{Op: "link", Path: to, Err: fs.ErrExist}
	}
	dir.children[last] = n
	return nil
}

// ReadDir implements disk.FS.
func (o *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.find("readdir", name, false)
	if err != nil {
		return nil, err
	}
	if n.file != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDir}
	}
	if err := n.list(o.under); err != nil {
		return nil, err
	}
	out := make([]fs.DirEntry, 0, len(n.children))
	for name, c := range n.children {
		out = append(out, c.info(name))
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// Stat implements disk.FS.
func (o *FS) Stat(name string) (fs.FileInfo, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.find("stat", name, false)
	if err != nil {
		return nil, err
	}
	return n.info(filepath.Base(name)), nil
}

// SyncDir does nothing, if there is such a directory.
func (o *FS) SyncDir(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, err := o.find("sync", name, false)
	return err
}

// Lock grants every lock: nobody else sees this file system.
func (o *FS) Lock(name string) (io.Closer, error) {
	f, err := o.Create(name)
	if errors.Is(err, fs.ErrExist) {
		f, err = o.OpenRW(name)
	}
	return f, err
}

// Free is the room that there is in memory: nobody counts it.
func (o *FS) Free(string) (uint64, error) { return 1 << 50, nil }

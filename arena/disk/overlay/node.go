package overlay

import (
	"io/fs"
	"maps"
	"path/filepath"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
)

// node is a name in the tree: a file or a directory.
type node struct {
	path string // below; "" if it was made here
	mode fs.FileMode
	time time.Time
	file *contents // nil for a directory

	// children of a directory; read from below when they are first needed. was are those that were found then.
	children, was map[string]*node
	read          bool
}

func newDir() *node {
	return &node{mode: fs.ModeDir | 0o755, time: time.Now(), children: map[string]*node{}, read: true}
}

func newFile(fsys disk.FS) *node {
	return &node{mode: 0o644, time: time.Now(), file: &contents{fs: fsys}}
}

// below makes a node of a name in the file system below.
func below(fsys disk.FS, path string) (*node, error) {
	info, err := fsys.Stat(path)
	if err != nil {
		return nil, err
	}
	n := &node{path: path, mode: info.Mode(), time: info.ModTime()}
	if !info.IsDir() {
		n.file = &contents{fs: fsys, path: path, size: info.Size(), below: info.Size(), was: info.Size()}
	}
	return n, nil
}

// list reads a directory from below, once.
func (n *node) list(fsys disk.FS) error {
	if n.read {
		return nil
	}
	entries, err := fsys.ReadDir(n.path)
	if err != nil {
		return err
	}
	children := make(map[string]*node, len(entries))
	for _, e := range entries {
		if children[e.Name()], err = below(fsys, filepath.Join(n.path, e.Name())); err != nil {
			return err
		}
	}
	n.children, n.was, n.read = children, maps.Clone(children), true
	return nil
}

// info is a node under a name, as Stat and ReadDir give it.
type info struct {
	name string
	node *node
	size int64
}

func (n *node) info(name string) info {
	i := info{name: name, node: n}
	if n.file != nil {
		n.file.mu.Lock()
		defer n.file.mu.Unlock()
		i.size = n.file.size
	}
	return i
}

func (i info) Name() string               { return i.name }
func (i info) Size() int64                { return i.size }
func (i info) Mode() fs.FileMode          { return i.node.mode }
func (i info) Type() fs.FileMode          { return i.node.mode.Type() }
func (i info) ModTime() time.Time         { return i.node.time }
func (i info) IsDir() bool                { return i.node.file == nil }
func (i info) Sys() any                   { return nil }
func (i info) Info() (fs.FileInfo, error) { return i, nil }

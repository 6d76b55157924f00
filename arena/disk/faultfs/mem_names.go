package faultfs

import (
	"io/fs"
	"maps"
	"slices"
	"time"
)

// node is a file or a directory, whatever its names. All nodes of a Mem are under its lock.
type node struct {
	// Of a directory; nil for a file.
	names map[string]*node // as programs see them
	kept  map[string]*node // as SyncDir left them; Mem.changes lead from here to names

	// Of a file.
	contents
	links, opens int // names and open files; without any its blocks are free
	modified     time.Time
}

func newDir() *node {
	return &node{names: map[string]*node{}, kept: map[string]*node{}, modified: time.Now()}
}

func (n *node) sortedNames() []string {
	return slices.Sorted(maps.Keys(n.names))
}

// change is one change of names: node gets a name, loses it (gone), or has it changed (fromDir set).
type change struct {
	dir  *node
	name string
	node *node
	gone bool

	fromDir  *node
	fromName string
	replaced *node // had the name before, or nil
}

// makes tells whether the change gives node a name that is not the one it has already.
func (c *change) makes() bool { return !c.gone && c.fromDir == nil }

// apply makes the change to the names that view gives of each directory. It does nothing, and says so, if these
// lack what the change builds on.
func (c *change) apply(view func(dir *node) map[string]*node) bool {
	names := view(c.dir)
	switch {
	case c.gone:
		if names[c.name] != c.node || c.node.names != nil && len(view(c.node)) > 0 {
			return false
		}
		delete(names, c.name)
		return true
	case c.fromDir != nil:
		from := view(c.fromDir)
		if from[c.fromName] != c.node || !c.mayReplace(names[c.name]) {
			return false
		}
		delete(from, c.fromName)
	case names[c.name] != nil:
		return false
	}
	names[c.name] = c.node
	return true
}

// mayReplace tells whether a rename may take the name of n. If an earlier change was lost, n is not the file that
// the program replaced. It must not vanish then if the program still has it, under another name.
func (c *change) mayReplace(n *node) bool {
	return n == nil || n == c.replaced || n.names == nil && n.links == 0
}

// change makes a change as programs see it and remembers that it is not durable.
func (m *Mem) change(c change) {
	c.replaced = c.dir.names[c.name]
	c.apply(func(dir *node) map[string]*node { return dir.names })
	m.changes = append(m.changes, c)
	if c.makes() {
		c.node.links++
	}
	if c.replaced != nil {
		c.replaced.links--
		m.release(c.replaced)
	}
	c.dir.modified = time.Now()
}

// settle makes the changes in a directory durable, and the earlier ones elsewhere without which they could not
// have happened: what a rename moves must have had its name, where it moves to must be there, and a removed
// directory must have been empty.
func (m *Mem) settle(dir *node) {
	type entry struct {
		dir  *node
		name string
	}
	whole := map[*node]bool{dir: true} // directories of which all changes are needed
	needed := map[entry]bool{}         // names of which all changes are needed
	made := map[*node]bool{}           // directories that must have a name
	settled := make([]bool, len(m.changes))
	for i, c := range slices.Backward(m.changes) {
		to, from := entry{c.dir, c.name}, entry{c.fromDir, c.fromName}
		if !whole[to.dir] && !whole[from.dir] && !needed[to] && !needed[from] && !(made[c.node] && !c.gone) {
			continue
		}
		settled[i] = true
		needed[to] = true
		if from.dir != nil {
			needed[from] = true
		}
		if from.dir != nil || made[c.node] {
			made[to.dir] = true
		}
		if c.gone && c.node.names != nil {
			whole[c.node] = true
		}
	}
	rest := m.changes[:0:0]
	for i, c := range m.changes {
		if settled[i] {
			c.apply(func(dir *node) map[string]*node { return dir.kept })
		} else {
			rest = append(rest, c)
		}
	}
	m.changes = rest
}

func (n *node) info(name string) fs.FileInfo {
	info := memInfo{name: name, mode: 0o644, size: int64(len(n.data)), modified: n.modified}
	if n.names != nil {
		info.mode, info.size = fs.ModeDir|0o755, 0
	}
	return info
}

type memInfo struct {
	name     string
	mode     fs.FileMode
	size     int64
	modified time.Time
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return i.modified }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return nil }

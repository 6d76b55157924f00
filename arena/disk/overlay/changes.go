package overlay

import (
	"bytes"
	"cmp"
	"maps"
	"path/filepath"
	"slices"
)

// Change is what has become of one name.
type Change struct {
	Path string
	Kind ChangeKind
	// At is the new size of a file that was Cut, or the first byte that is another in one that was Written.
	At int64
}

// ChangeKind says how a file differs from the one below.
type ChangeKind string

// Kinds of changes.
const (
	Created  ChangeKind = "created"
	Removed  ChangeKind = "removed"
	Replaced ChangeKind = "replaced" // by another file of this name
	Cut      ChangeKind = "cut"      // the rest is as it was
	Written  ChangeKind = "written"  // bytes are others, or more
)

// Changes compares a directory, with all below it, with the one that is mounted there. What was written as it stood
// there before is no change. A directory that was created or removed stands for all that is in it.
func (o *FS) Changes(dir string) ([]Change, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.find("changes", dir, false)
	if err != nil {
		return nil, err
	}
	out, err := n.changes(dir)
	slices.SortFunc(out, func(a, b Change) int { return cmp.Compare(a.Path, b.Path) })
	return out, err
}

func (n *node) changes(path string) (out []Change, err error) {
	for name, c := range n.children {
		at := filepath.Join(path, name)
		switch was := n.was[name]; {
		case was == nil:
			out = append(out, Change{Path: at, Kind: Created})
		case was != c:
			out = append(out, Change{Path: at, Kind: Replaced})
		case c.file != nil:
			kind, off, err := c.file.change()
			if err != nil {
				return nil, err
			}
			if kind != "" {
				out = append(out, Change{at, kind, off})
			}
		default:
			more, err := c.changes(at)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
	}
	for name := range n.was {
		if n.children[name] == nil {
			out = append(out, Change{Path: filepath.Join(path, name), Kind: Removed})
		}
	}
	return out, nil
}

// change says how the contents differ from the file below; "" if they do not.
func (c *contents) change() (ChangeKind, int64, error) {
	if err := c.acquire(); err != nil {
		return "", 0, err
	}
	defer c.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range slices.Sorted(maps.Keys(c.blocks)) {
		off := i * blockSize
		now := c.blocks[i][:min(blockSize, c.size-off)]
		before := make([]byte, min(int64(len(now)), max(0, c.was-off)))
		if _, err := c.file.ReadAt(before, off); err != nil && len(before) > 0 {
			return "", 0, err
		}
		if !bytes.Equal(now[:len(before)], before) || len(now) > len(before) {
			for k := range before {
				if now[k] != before[k] {
					return Written, off + int64(k), nil
				}
			}
			return Written, off + int64(len(before)), nil
		}
	}
	switch {
	case c.size > c.was: // with zeros
		return Written, c.was, nil
	case c.size > c.below: // cut, and grown again
		return Written, c.below, nil
	case c.size < c.was:
		return Cut, c.size, nil
	}
	return "", 0, nil
}

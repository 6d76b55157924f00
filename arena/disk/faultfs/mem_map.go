package faultfs

import (
	"fmt"
	"io/fs"
	"runtime"

	"github.com/edsrzf/mmap-go"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
)

// regionSize is the address space that a mapped file may grow in. Only what is used of it takes memory.
const regionSize = 256 << 20

// region is where the contents of a file are while it is mapped. They must not move then, and a slice that
// grows would: mappings and files could not see each other's writes.
type region struct {
	mem     mmap.MMap
	cleanup runtime.Cleanup
}

func newRegion(size int64) (*region, error) {
	mem, err := mmap.MapRegion(nil, int(max(regionSize, 2*size)), mmap.RDWR, mmap.ANON, 0)
	if err != nil {
		return nil, err
	}
	r := &region{mem: mem}
	// A process that a test "killed" never unmaps.
	r.cleanup = runtime.AddCleanup(r, func(mem mmap.MMap) { _ = mem.Unmap() }, mem)
	return r, nil
}

func (r *region) close() error {
	r.cleanup.Stop()
	return r.mem.Unmap()
}

type memMapping struct {
	file   *memFile
	region *region // keeps the bytes, whatever becomes of the file system
	bytes  []byte
	done   bool
}

func (f *memFile) Map(size int64, writable bool) (disk.Mapping, error) {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	n := f.node
	err := f.usable(false, size)
	switch {
	case err != nil:
	case size > int64(len(n.data)):
		err = fmt.Errorf("%w: %d bytes of a file of %d", fs.ErrInvalid, size, len(n.data))
	case writable && !f.writable:
		err = unix.EACCES
	case n.region == nil:
		err = n.moveToRegion()
	}
	if err != nil {
		return nil, f.fail("map", err)
	}
	n.maps++
	if writable {
		n.mapped = max(n.mapped, size)
	}
	return &memMapping{file: f, region: n.region, bytes: n.data[:size:size]}, nil
}

func (c *contents) moveToRegion() error {
	r, err := newRegion(int64(len(c.data)))
	if err != nil {
		return err
	}
	c.data = r.mem[:copy(r.mem, c.data)]
	c.region = r
	return nil
}

func (c *contents) leaveRegion() error {
	c.noteStores()
	data := make([]byte, len(c.data))
	copy(data, c.data)
	r := c.region
	c.data, c.region, c.mapped = data, nil, 0
	return r.close()
}

func (m *memMapping) Bytes() []byte { return m.bytes }

// SyncRange is stricter than Linux: it fails when the file was closed, as it has to on darwin.
func (m *memMapping) SyncRange(off, size int64) error {
	m.file.mem.mu.Lock()
	defer m.file.mem.mu.Unlock()
	err := m.file.usable(false, 0)
	switch {
	case m.done:
		err = fs.ErrClosed
	case err != nil:
	case off < 0 || size < 0 || off > int64(len(m.bytes))-size:
		err = fmt.Errorf("%w: [%d, %d) of a mapping of %d", fs.ErrInvalid, off, off+size, len(m.bytes))
	default:
		m.file.node.syncRange(off, size)
	}
	return m.file.fail("msync", err)
}

func (m *memMapping) Unmap() error {
	mem, n := m.file.mem, m.file.node
	mem.mu.Lock()
	defer mem.mu.Unlock()
	if m.done {
		return m.file.fail("unmap", fs.ErrClosed)
	}
	m.done, m.bytes = true, nil
	n.maps--
	if n.maps > 0 {
		return nil
	}
	err := n.leaveRegion()
	mem.release(n)
	return m.file.fail("unmap", err)
}

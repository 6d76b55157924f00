package disk

import (
	"fmt"
	"io/fs"
	"math"
	"os"

	"github.com/edsrzf/mmap-go"
	"golang.org/x/sys/unix"
)

var pageSize = int64(os.Getpagesize())

// osMapping has nil bytes when it is empty (the kernel maps nothing of no size) or unmapped.
type osMapping struct {
	mem  mmap.MMap
	file *os.File
	done bool
}

func (f osFile) Map(size int64, writable bool) (Mapping, error) {
	end, err := f.Size()
	if err != nil {
		return nil, err
	}
	if err := checkMap(f.Name(), size, end); err != nil {
		return nil, err
	}
	m := &osMapping{file: f.File}
	if size == 0 {
		return m, nil
	}
	prot := mmap.RDONLY
	if writable {
		prot = mmap.RDWR
	}
	if m.mem, err = mmap.MapRegion(f.File, int(size), prot, 0, 0); err != nil {
		return nil, &fs.PathError{Op: "map", Path: f.Name(), Err: err}
	}
	return m, nil
}

// checkMap refuses what would fault on access: a page wholly behind the end of the file is SIGBUS.
func checkMap(name string, size, end int64) error {
	if size < 0 || size > end || size > math.MaxInt {
		return &fs.PathError{Op: "map", Path: name, Err: fmt.Errorf("%w: %d bytes of a file of %d", fs.ErrInvalid, size, end)}
	}
	return nil
}

func (m *osMapping) Bytes() []byte { return m.mem }

func (m *osMapping) SyncRange(off, size int64) error {
	if m.done {
		return m.fail("msync", fs.ErrClosed)
	}
	if off < 0 || size < 0 || off > int64(len(m.mem))-size {
		return m.fail("msync", fmt.Errorf("%w: [%d, %d) of a mapping of %d", fs.ErrInvalid, off, off+size, len(m.mem)))
	}
	if size == 0 {
		return nil
	}
	// msync wants the address of a page.
	b := m.mem[off-off%pageSize : off+size]
	if err := retry(func() error { return unix.Msync(b, unix.MS_SYNC) }); err != nil {
		return m.fail("msync", err)
	}
	if err := syncMapped(m.file); err != nil {
		return m.fail("msync", err)
	}
	return nil
}

func (m *osMapping) Unmap() error {
	if m.done {
		return m.fail("unmap", fs.ErrClosed)
	}
	m.done = true
	if m.mem == nil {
		return nil
	}
	return m.fail("unmap", m.mem.Unmap())
}

func (m *osMapping) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: m.file.Name(), Err: err}
}

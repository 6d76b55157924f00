package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func syncData(f *os.File) error {
	return onFD(f, unix.Fdatasync)
}

func reserve(f *os.File, size int64) error {
	if size == 0 {
		return nil // which fallocate takes for a mistake
	}
	err := onFD(f, func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return fillHoles(osFile{f}, size)
	}
	return err
}

// syncMapped follows msync, which on Linux is all it takes.
func syncMapped(*os.File) error { return nil }

// blockSize is the unit of the free-block counts: f_frsize, as statvfs has it. Old kernels leave it 0.
func blockSize(st *unix.Statfs_t) uint64 {
	if st.Frsize > 0 {
		return uint64(st.Frsize)
	}
	return uint64(st.Bsize)
}

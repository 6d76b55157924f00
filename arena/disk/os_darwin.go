package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData: os.File.Sync is fcntl(F_FULLFSYNC) here. Plain fsync leaves the bytes in the drive's cache.
func syncData(f *os.File) error { return f.Sync() }

// reserve writes. F_PREALLOCATE reserves space beyond the physical end only, so it says nothing about
// holes, and this platform is for development.
func reserve(f *os.File, size int64) error { return fillHoles(osFile{f}, size) }

// syncMapped follows msync, which here, like fsync, stops at the drive's cache.
func syncMapped(f *os.File) error { return f.Sync() }

func blockSize(st *unix.Statfs_t) uint64 { return uint64(st.Bsize) }

//go:build !race

package arena

import "golang.org/x/sys/unix"

// mmap-go maps shared anonymous memory only and cannot reserve without committing, hence x/sys here.

func reserve(size uint64) ([]byte, error) {
	return unix.Mmap(-1, 0, int(size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
}

func commit(mem []byte) error { return unix.Mprotect(mem, unix.PROT_READ|unix.PROT_WRITE) }

func release(mem []byte) error { return unix.Munmap(mem) }

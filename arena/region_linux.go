//go:build !race

package arena

import "golang.org/x/sys/unix"

// advise asks for huge pages. A kernel without them is no worse off.
func advise(mem []byte) {
	if len(mem) > 0 {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE)
	}
}

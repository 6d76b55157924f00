package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Held reports whether somebody holds the lock that FS.Lock of OS takes on a file of this name. Nothing is created or
// written. The question is asked with a shared lock that is given back at once: a process that tries to lock the file
// in these microseconds is refused.
func Held(name string) (bool, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("disk: look whether %s is locked: %w", name, err)
	}
	defer f.Close()
	err = onFD(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("disk: look whether %s is locked: %w", name, err)
	}
	return false, nil // closing gives it back
}

package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned by FS.Lock while somebody else holds the lock: most likely another process works on
// the same directory and has to be stopped first.
var ErrLocked = errors.New("locked by another process")

// TempSuffix ends the names of files that are not finished yet. One that is found when nobody writes is what
// a crash left of an unfinished WriteFileAtomic or Probe, and may be removed.
const TempSuffix = ".tmp"

// IsFull tells whether err means that there is no room on the disk (or under the user's quota) at the moment.
func IsFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// ReadFile returns the contents of a file.
func ReadFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return data[:n], nil
}

// WriteFileAtomic replaces a file, or makes it, in a way that a crash at any moment leaves the old contents or
// the new ones, whole, and the new ones for sure once it returned nil. Only one caller at a time may write the
// same name. After an error either may be found.
func WriteFileAtomic(fsys FS, name string, data []byte) error {
	tmp := name + TempSuffix
	if err := writeNew(fsys, tmp, data); err != nil {
		return fmt.Errorf("disk: write %s: %w", name, err)
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return fmt.Errorf("disk: write %s: %w", name, errors.Join(err, fsys.Remove(tmp)))
	}
	if err := fsys.SyncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("disk: write %s: sync its directory: %w", name, err)
	}
	return nil
}

// writeNew makes a file with synced contents in the place of one that a crash may have left. After an error
// there is none, so that a full disk does not keep what did not fit.
func writeNew(fsys FS, name string, data []byte) (err error) {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return errors.Join(err, fsys.Remove(name))
	}
	return nil
}

// MkdirAllSync makes a directory and its missing parents and makes their names durable. FS.MkdirAll alone may
// lose the directory with all that was ever synced in it.
func MkdirAllSync(fsys FS, name string, perm fs.FileMode) error {
	name = filepath.Clean(name)
	parent := filepath.Dir(name)
	_, err := fsys.Stat(name)
	existed := err == nil
	if !existed {
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if parent != name {
			if err := MkdirAllSync(fsys, parent, perm); err != nil {
				return err
			}
		}
		if err := fsys.MkdirAll(name, perm); err != nil {
			return err
		}
	}
	// One that is there may have been made by a process that was killed before it came to this line. Where
	// the parent may not be read, the directory is somebody else's work.
	err = fsys.SyncDir(parent)
	if err == nil || existed && errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return fmt.Errorf("disk: make the name %s durable: %w", name, err)
}

// Probe shows that a directory can be used before anybody depends on it: a file is made in it, written,
// synced, read back and removed. On a full disk the error satisfies IsFull, and the directory may still be good
// enough to read.
func Probe(fsys FS, dir string) error {
	name := filepath.Join(dir, "probe"+TempSuffix)
	want := []byte("This file tests whether the directory can be written. It may be removed.\n")
	err := writeNew(fsys, name, want)
	if err == nil {
		var got []byte
		got, err = ReadFile(fsys, name)
		if err == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf("%s reads back differently from what was written", name)
		}
		err = errors.Join(err, fsys.Remove(name), fsys.SyncDir(dir))
	}
	if err != nil {
		return fmt.Errorf("disk: %s cannot be used for data: %w", dir, err)
	}
	return nil
}

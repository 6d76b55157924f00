package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// OS is the real file system.
var OS FS = osFS{}

type osFS struct{}

func (osFS) Open(name string) (File, error) {
	return wrap(os.Open(name))
}

func (osFS) Create(name string) (File, error) {
	return wrap(os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644))
}

func (osFS) OpenRW(name string) (File, error) {
	return wrap(os.OpenFile(name, os.O_RDWR, 0))
}

// wrap keeps a nil *os.File from becoming a File that is not nil.
func wrap(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (osFS) Remove(name string) error                     { return os.Remove(name) }
func (osFS) RemoveAll(name string) error                  { return os.RemoveAll(name) }
func (osFS) Rename(from, to string) error                 { return os.Rename(from, to) }
func (osFS) Link(from, to string) error                   { return os.Link(from, to) }
func (osFS) ReadDir(name string) ([]fs.DirEntry, error)   { return os.ReadDir(name) }
func (osFS) Stat(name string) (fs.FileInfo, error)        { return os.Stat(name) }

func (osFS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Sync()
	// Some network and FUSE file systems cannot sync a directory and say so with one of these. There is
	// nothing left to ask them for, and refusing to run on them would protect nobody.
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

func (osFS) Lock(name string) (io.Closer, error) {
	// NFS turns flock into a byte-range lock, which needs a descriptor open for writing.
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = onFD(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("disk: lock %s: %w", name, err)
	}
	return f, nil
}

func (osFS) Free(name string) (uint64, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(name, &st) }); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	return st.Bavail * blockSize(&st), nil
}

// osFile adds to os.File what it lacks. ReadAt, WriteAt (never short without an error), Truncate, Name and
// Close are its own.
type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f osFile) Sync() error {
	if err := syncData(f.File); err != nil {
		return &fs.PathError{Op: "sync", Path: f.Name(), Err: err}
	}
	return nil
}

func (f osFile) Allocate(size int64) error {
	if size < 0 {
		return &fs.PathError{Op: "allocate", Path: f.Name(), Err: fs.ErrInvalid}
	}
	before, err := f.Size()
	if err != nil {
		return err
	}
	err = reserve(f.File, size)
	if err == nil {
		return nil
	}
	// What was reserved before the disk was full would only keep it full.
	if now, serr := f.Size(); serr == nil && now > before {
		err = errors.Join(err, f.Truncate(before))
	}
	return &fs.PathError{Op: "allocate", Path: f.Name(), Err: err}
}

// onFD runs a system call on f's descriptor, which cannot be closed and given to another file meanwhile.
func onFD(f *os.File, call func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var cerr error
	if err := c.Control(func(fd uintptr) {
		cerr = retry(func() error { return call(int(fd)) })
	}); err != nil {
		return fs.ErrClosed // all that it can fail with, in the words of an internal package
	}
	return cerr
}

// retry repeats a call that a signal interrupted: the Go scheduler sends itself signals.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

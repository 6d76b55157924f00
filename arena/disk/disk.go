// Package disk is the one door to files. Everything this project reads or writes on disk, mapped or
// not, goes through FS, so that a test can stand between the program and the disk: fail the third
// sync, tear a write, fill the disk, or cut the power (package faultfs beside this one).
//
// What FS promises and what it does not:
//
//   - WriteAt that returns nil is in the page cache: it survives the death of the process.
//   - Only File.Sync (contents) and FS.SyncDir (names) make things survive a power cut. A new file
//     needs both: its contents and the directory that names it.
//   - After Sync returned an error, what was written since the last good Sync must be written again to
//     another file. The kernel may have dropped the dirty pages and call the next Sync good.
//   - What an earlier process wrote may be there to read and still not be durable, contents and names alike,
//     if it was killed before it synced. A process that builds on such things syncs them first.
package disk

import (
	"io"
	"io/fs"
)

// FS is a file system. Names are ordinary OS paths.
type FS interface {
	// Open opens an existing file for reading.
	Open(name string) (File, error)
	// Create makes a new empty file for reading and writing; it fails with fs.ErrExist if there is one.
	Create(name string) (File, error)
	// OpenRW opens an existing file for reading and writing.
	OpenRW(name string) (File, error)

	MkdirAll(name string, perm fs.FileMode) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	RemoveAll(name string) error
	Rename(from, to string) error
	// Link makes a hard link.
	Link(from, to string) error
	// ReadDir returns the entries sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the names in a directory durable: files created, linked, renamed or removed in it. It does
	// not do so for the directory's own name; see MkdirAllSync.
	SyncDir(name string) error
	// Lock takes an exclusive lock on a file, which is created if it is missing. ErrLocked if another
	// process (or another Lock in this one) holds it. The lock ends with Close or with the process; the file
	// stays, since removing it would let two processes lock two files of one name.
	Lock(name string) (io.Closer, error)
	// Free returns the bytes that an unprivileged process can still write to the file system of name.
	Free(name string) (uint64, error)
}

// File is an open file. Methods are safe for concurrent use as far as the kernel makes them so:
// reads and writes of disjoint ranges. WriteAt that wrote less than all returns an error.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Name() string
	Size() (int64, error)
	Truncate(size int64) error
	// Sync makes the contents written so far durable (fdatasync: metadata only as far as needed to read them).
	Sync() error
	// Allocate makes sure that [0, size) has blocks, so that neither WriteAt nor a store through a
	// mapping can find the disk full. The file grows to size if it is shorter; new bytes read as zero. IsFull
	// tells whether the error is that there is no room; the size is as before then. Nobody may write to the
	// file meanwhile. File systems that copy on write (btrfs, ZFS) and thin volumes can run full all the same.
	Allocate(size int64) error
	// Map maps [0, size) of the file, which must be at least that long and stay so. Writing needs a file from
	// Create or OpenRW. The mapping outlives Close of the file.
	Map(size int64, writable bool) (Mapping, error)
}

// Mapping is a mapped file, beginning at the address of a page. Bytes are valid until Unmap; nothing may keep a
// slice of them longer. A store into a mapping that is not writable ends the process.
type Mapping interface {
	Bytes() []byte
	// SyncRange makes a range written through the mapping durable. The file must still be open.
	SyncRange(off, size int64) error
	Unmap() error
}

package ckpt

import (
	"errors"
	"fmt"

	"github.com/rekindledb/rekindle/arena"
)

var (
	// ErrUnfinished says that an image was being written when the process or the machine stopped: its slot was
	// marked as invalid, or it was written by a clean stop without syncing and did not all reach the disk. That is
	// no damage; the other image and the log are there.
	ErrUnfinished = errors.New("ckpt: image was not finished")

	// ErrStale is returned by a Writer after another one was begun for the same stripe, or after its image was
	// published. It is a mistake in the caller.
	ErrStale = errors.New("ckpt: this writer is no longer the one of its stripe")

	// ErrOrder is returned by Publish for an image that may not be published yet: not written, not walked, not
	// synced, or holding commits that the log has not synced. It is a mistake in the caller.
	ErrOrder = errors.New("ckpt: image may not be published yet")

	// ErrRuns is returned by Write for runs of extents that do not make a whole image: unordered, outside of
	// it, or with extents missing that the slot does not have. It is a mistake in the caller.
	ErrRuns = errors.New("ckpt: runs do not make a whole image")
)

// CorruptError tells which bytes of a file are not those that were written, or cannot be read. It satisfies
// errors.Is(err, arena.ErrDamaged).
type CorruptError struct {
	File   string
	Offset int64  // where the damaged part begins
	What   string // what it is part of
	Want   uint64 // checksum or value that it should have had
	Got    uint64
	Err    error // instead of Want and Got: why the bytes could not be read or mean nothing

	// Unfinished: the image was never complete on disk, so that this is no damage. It satisfies
	// errors.Is(err, ErrUnfinished) too.
	Unfinished bool
}

func (e *CorruptError) Error() string {
	state := "is damaged"
	if e.Unfinished {
		state = "was not finished"
	}
	if e.Err != nil {
		return fmt.Sprintf("ckpt: %s %s: %s at byte %d: %v", e.File, state, e.What, e.Offset, e.Err)
	}
	return fmt.Sprintf("ckpt: %s %s: %s at byte %d: want %#x, got %#x", e.File, state, e.What, e.Offset, e.Want, e.Got)
}

// Is makes a CorruptError an arena.ErrDamaged, and an ErrUnfinished if it is.
func (e *CorruptError) Is(target error) bool {
	return target == arena.ErrDamaged || e.Unfinished && target == ErrUnfinished
}

// Unwrap gives the error of the read.
func (e *CorruptError) Unwrap() error { return e.Err }

// VersionError is returned for a file that a newer version of the program wrote. Nothing is wrong with it:
// start that version again, or give this one another directory.
type VersionError struct {
	File     string
	Layout   uint32 // the file's
	Known    uint32 // the newest that this program reads
	Features uint64 // required by the file and unknown here
}

func (e *VersionError) Error() string {
	if e.Features != 0 {
		return fmt.Sprintf("ckpt: %s needs features %#x, which this version of the program does not have: start the version that wrote it", e.File, e.Features)
	}
	return fmt.Sprintf("ckpt: %s has layout %d, this version of the program reads up to %d: start the version that wrote it", e.File, e.Layout, e.Known)
}

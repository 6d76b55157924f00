package ckpt

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// Walk gives the image as it lies in the slot's file, mapped read-only, to the engine's walk over an arena
// (offsets in bounds, counts, table against records). Both slots come from the same memory and a checksum
// proves only what was written, so nothing is published that did not pass. The bytes are gone when check
// returns: the mapping is for the moment, so that it does not count as resident memory.
func (w *Writer) Walk(check func(image []byte) error) error {
	if err := w.check(written, synced); err != nil {
		return err
	}
	end := tableOffset(w.meta.Extents)
	m, err := w.slot.file.Map(end, false)
	if err != nil {
		return fmt.Errorf("ckpt: map %s to walk it: %w", w.slot.name, err)
	}
	err = guarded(w.slot.name, func() error { return check(m.Bytes()[dataOffset:end:end]) })
	if uerr := m.Unmap(); uerr != nil {
		err = errors.Join(err, fmt.Errorf("ckpt: unmap %s: %w", w.slot.name, uerr))
	}
	if err != nil {
		return fmt.Errorf("ckpt: image of stripe %d at commit %d is not fit to be published: %w", w.stripe, w.meta.Commit, err)
	}
	w.stage = max(w.stage, walked)
	return nil
}

// guarded turns the fault of a page that the disk could not give back into an error. Other panics go on.
func guarded(name string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface {
			error
			Addr() uintptr
		}:
			err = &CorruptError{File: name, What: "mapped image", Err: r}
		default:
			panic(r)
		}
	}()
	return f()
}

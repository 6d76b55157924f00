package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
)

// PrepareShutdown notes, on disk, that the next stop is for good: the instance takes itself out of the ring then. The
// note outlives restarts, so a crash between it and the deletion of the machine does not leave an entry behind.
func (l *Lifecycler) PrepareShutdown(on bool) error {
	if l.ID() == "" {
		return errStarting // the directory is not ours yet
	}
	if !on {
		return l.removeMarker()
	}
	text := l.cfg.Now().UTC().Format(time.RFC3339) + "\n"
	if err := disk.WriteFileAtomic(l.cfg.FS, l.cfg.MarkerFile, []byte(text)); err != nil {
		return fmt.Errorf("lifecycle: note the shutdown: %w", err)
	}
	return nil
}

func (l *Lifecycler) removeMarker() error {
	err := l.cfg.FS.Remove(l.cfg.MarkerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = l.cfg.FS.SyncDir(filepath.Dir(l.cfg.MarkerFile))
	}
	if err != nil {
		return fmt.Errorf("lifecycle: remove the note of a shutdown: %w", err)
	}
	return nil
}

// ShutdownPrepared reports whether the next stop is for good.
func (l *Lifecycler) ShutdownPrepared() (bool, error) {
	_, err := l.cfg.FS.Stat(l.cfg.MarkerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lifecycle: look for the note of a shutdown: %w", err)
	}
	return true, nil
}

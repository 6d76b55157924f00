package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/rekindledb/rekindle/arena/disk"
)

// startFile is what the starts of a directory leave for the next one, in @rekindle/starts.json.
//
// It is written in place and not synced: a start must not wait for the disk, nor fail because it is full, and
// what counts is what killed processes leave. Torn by a power cut it counts as missing.
type startFile struct {
	// Failed counts the starts in a row, this one included, that have not become ready.
	Failed int `json:"failed_starts"`
	// Halves is how often the stretches of a careful start have been halved, Settled whether the last one came to the
	// end of a stretch.
	Halves  int  `json:"halves,omitempty"`
	Settled bool `json:"settled,omitempty"`
	// Speed is what starts have shown so far.
	Speed restartSpeed `json:"speed"`
}

// carefulAfter is how many starts must have failed for the next one to leave something behind.
const carefulAfter = 2

func (s *startFile) careful() bool { return s.Failed > carefulAfter }

const (
	startFileName = "starts.json"
	startFileSize = 512 // always, so that it needs no room later
)

// begun reads the file, counts one more start in it, and returns it.
func (d *directory) begun() (startFile, error) {
	s, err := d.readStarts()
	if err != nil {
		return s, err
	}
	if s.careful() && !s.Settled {
		s.Halves = min(s.Halves+1, carefulHalves)
	}
	s.Failed++
	s.Settled = false
	return s, d.writeStarts(s)
}

func (d *directory) startsPath() string { return filepath.Join(d.path, ownDir, startFileName) }

func (d *directory) readStarts() (startFile, error) {
	var s startFile
	b, err := disk.ReadFile(d.fs, d.startsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("engine: read %s: %w", d.startsPath(), err)
	}
	if json.Unmarshal(b, &s) != nil {
		return startFile{}, nil
	}
	return s, nil
}

func (d *directory) writeStarts(s startFile) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	b = append(b, bytes.Repeat([]byte(" "), max(startFileSize-1-len(b), 0))...)
	b = append(b, '\n')
	f, err := d.fs.OpenRW(d.startsPath())
	if errors.Is(err, fs.ErrNotExist) {
		f, err = d.fs.Create(d.startsPath())
	}
	if err != nil {
		return fmt.Errorf("engine: note the start in %s: %w", d.startsPath(), err)
	}
	_, err = f.WriteAt(b, 0)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("engine: note the start in %s: %w", d.startsPath(), err)
	}
	return nil
}

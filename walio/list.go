package walio

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rekindledb/rekindle/arena/disk"
)

// listing is what a log's directory holds.
type listing struct {
	segments    []int // ascending
	checkpoints []int // ascending
	leftovers   []string
}

// listDir lists a log's directory; a missing one is empty. Names that are not ours are passed over.
func listDir(fsys disk.FS, dir string) (listing, error) {
	var l listing
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("walio: list %s: %w", dir, err)
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, tmpSuffix) {
			l.leftovers = append(l.leftovers, filepath.Join(dir, name))
		} else if num, ok := parseSegmentName(name); ok && !e.IsDir() {
			l.segments = append(l.segments, num)
		} else if num, ok := parseCheckpointName(name); ok && e.IsDir() {
			l.checkpoints = append(l.checkpoints, num)
		}
	}
	slices.Sort(l.segments)
	slices.Sort(l.checkpoints)
	return l, nil
}

// has says whether there is a segment of that number.
func (l *listing) has(num int) bool {
	_, ok := slices.BinarySearch(l.segments, num)
	return ok
}

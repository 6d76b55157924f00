package walio

import (
	"fmt"
	"iter"
	"path/filepath"
	"slices"
)

// Names gives the live series to Cut.
type Names interface {
	// Live returns how many series of the stripe are live.
	Live(stripe int) int
	// Each ranges over the live series of the stripe whose index is greater than after and whose definition is
	// in a commit up to the one given to Cut, in any order; later ones only if they are synced. key is its
	// canonical label set, valid until the next one. The loop writes files and waits, so no lock may be held.
	//
	// A series that was evicted after the commit given to Cut must still be among them: the rest of the log
	// mentions it.
	Each(stripe int, after uint64) iter.Seq2[uint64, []byte]
}

// Cut drops the segments that hold only commits up to commit, after publishing checkpoint.N with the names
// of all live series: the directory goes on to open in stock tools, and every name stays on disk twice. It
// never drops the newest segment, nor what is not synced. It may take long and runs beside commits.
//
// The order is
//
//	new names written and synced in checkpoint.N.tmp  ->  renamed, directory synced  ->  segments removed  ->  old checkpoint removed
//
// A crash in between leaves segments or a checkpoint too many, which Recover removes.
func (l *Log) Cut(commit uint64, names Names) error {
	l.cutting.Lock()
	defer l.cutting.Unlock()
	drop, first := l.droppable(commit)
	state := &l.cutting.checkpoint
	through := first - 1 // the checkpoint that must exist for the log to open in stock tools
	if n := len(drop); n > 0 {
		through = drop[n-1].num
	}
	if through < 0 || len(drop) == 0 && state.valid && state.num >= through {
		return nil
	}
	old := *state
	if !state.valid || state.num < through {
		if err := l.publishCheckpoint(through, names); err != nil {
			return err
		}
	}
	for _, s := range drop {
		if err := l.opts.FS.Remove(segmentPath(l.opts.Dir, s.num)); err != nil {
			return fmt.Errorf("walio: remove segment: %w", err)
		}
		l.forgetFirst()
	}
	if old.segments > 0 && old.num != state.num {
		if err := l.opts.FS.RemoveAll(checkpointPath(l.opts.Dir, old.num)); err != nil {
			return fmt.Errorf("walio: remove old checkpoint: %w", err)
		}
	}
	return nil
}

// droppable returns the segments that Cut may drop, and the number of the first segment that there is.
func (l *Log) droppable(commit uint64) (drop []finishedSegment, first int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	commit = min(commit, l.mu.syncedCommit)
	list := l.mu.finished
	if len(list) == 0 {
		if l.mu.current == nil {
			return nil, 0
		}
		return nil, l.mu.current.num
	}
	first = list[0].num
	if l.mu.current == nil {
		list = list[:len(list)-1]
	}
	n := 0
	for n < len(list) && list[n].last <= commit {
		n++
	}
	return slices.Clone(list[:n]), first
}

func (l *Log) forgetFirst() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.finished = slices.Delete(l.mu.finished, 0, 1)
}

// checkpointFilesMax bounds the segments of a checkpoint: each Cut links all of them.
const checkpointFilesMax = 64

// publishCheckpoint makes checkpoint.num: hard links to the segments of the one before and a new one with the
// series created since. It is written whole when more than half of what it names is dead.
func (l *Log) publishCheckpoint(num int, names Names) error {
	old := l.cutting.checkpoint
	live := uint64(0)
	for stripe := range int(l.opts.Identity.Stripes) {
		live += uint64(names.Live(stripe))
	}
	next := checkpointState{num: num, valid: true, maxIndex: make([]uint64, l.opts.Identity.Stripes)}
	tmp := checkpointPath(l.opts.Dir, num) + tmpSuffix
	if err := l.opts.FS.RemoveAll(tmp); err != nil {
		return fmt.Errorf("walio: remove leftover %s: %w", tmp, err)
	}
	if err := l.opts.FS.MkdirAll(tmp, 0o777); err != nil {
		return fmt.Errorf("walio: make directory for checkpoint: %w", err)
	}
	if old.valid && old.series <= 2*live && old.segments < checkpointFilesMax {
		if err := l.linkCheckpoint(old, tmp); err != nil {
			return err
		}
		next.segments, next.series = old.segments, old.series
		copy(next.maxIndex, old.maxIndex)
	}
	w, err := newCheckpointWriter(l, tmp, &next)
	if err != nil {
		return err
	}
	if err := w.write(names); err != nil {
		return fmt.Errorf("walio: write checkpoint %s: %w", tmp, err)
	}
	if err := l.opts.FS.SyncDir(tmp); err != nil {
		return fmt.Errorf("walio: sync directory %s: %w", tmp, err)
	}
	final := checkpointPath(l.opts.Dir, num)
	if err := l.opts.FS.RemoveAll(final); err != nil { // a damaged one of the same number
		return fmt.Errorf("walio: remove damaged checkpoint: %w", err)
	}
	if err := l.opts.FS.Rename(tmp, final); err != nil {
		return fmt.Errorf("walio: publish checkpoint: %w", err)
	}
	if err := l.opts.FS.SyncDir(l.opts.Dir); err != nil {
		return fmt.Errorf("walio: sync directory %s: %w", l.opts.Dir, err)
	}
	l.cutting.checkpoint = next
	l.mu.Lock()
	l.mu.checkpointSeries = next.series
	l.mu.Unlock()
	return nil
}

func (l *Log) linkCheckpoint(old checkpointState, dir string) error {
	for i := range old.segments {
		from := filepath.Join(checkpointPath(l.opts.Dir, old.num), segmentName(i))
		if err := l.opts.FS.Link(from, filepath.Join(dir, segmentName(i))); err != nil {
			return fmt.Errorf("walio: link checkpoint segment: %w", err)
		}
	}
	return nil
}

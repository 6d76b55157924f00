package walio

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/rekindledb/rekindle/arena/disk"
)

// segment is an open segment file. The committer writes; the fields below are under Log.mu, because the
// syncer reads them.
type segment struct {
	num  int
	file disk.File

	size   int64  // end of the last whole commit
	synced int64  // end of the last commit that is synced
	last   uint64 // greatest commit number in it, 0 without any
	// finished says that it gets no more commits.
	finished bool
}

// createSegment makes the file of the next segment number and makes its name durable, so that whatever is
// acknowledged from it can be found again.
func (l *Log) createSegment() (*segment, error) {
	name := segmentPath(l.opts.Dir, l.nextSegment)
	file, err := l.opts.FS.Create(name)
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			l.nextSegment++ // an attempt before this one could not remove its file
		}
		return nil, fmt.Errorf("walio: create segment: %w", err)
	}
	s := &segment{num: l.nextSegment, file: file}
	if err := l.opts.FS.SyncDir(l.opts.Dir); err != nil {
		l.discardSegment(s)
		return nil, fmt.Errorf("walio: sync directory of new segment %s: %w", name, err)
	}
	l.nextSegment++
	return s, nil
}

// discardSegment removes the file of a segment from which nothing was acknowledged. If it cannot be
// removed its number stays used; recovery takes each commit once, wherever it finds it.
func (l *Log) discardSegment(s *segment) {
	s.file.Close()
	if err := l.opts.FS.Remove(segmentPath(l.opts.Dir, s.num)); err != nil {
		l.nextSegment = max(l.nextSegment, s.num+1)
		return
	}
	l.nextSegment = s.num
}

// appendSegmentStart appends the identity record that begins a segment.
func (l *Log) appendSegmentStart(dst []byte, s *segment, first uint64) []byte {
	l.segmentRecord = appendSegmentHeader(l.segmentRecord[:0], &segmentHeader{
		kind:  segmentLog,
		id:    l.opts.Identity,
		epoch: l.opts.Epoch,
		num:   uint64(s.num),
		first: first,
	})
	return appendFragments(dst, 0, l.segmentRecord, 0)
}

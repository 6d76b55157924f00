package walio

import (
	"fmt"
	"slices"
	"time"
)

// healOrPause tries to heal and, if that fails, sleeps a little longer each time.
func (l *Log) healOrPause() {
	if l.heal() {
		return
	}
	timer := time.NewTimer(l.retry)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.stop:
	}
	l.retry = min(2*l.retry, l.opts.RetryMax)
}

// heal brings a failed log back: everything since the last good sync is written again, under the same
// commit numbers, to a new segment and synced; only then is the failed segment cut back to its last synced
// commit. In the other order a kill in between would lose what was acknowledged and not synced.
func (l *Log) heal() bool {
	l.syncing.Lock() // a sync under way still uses the files
	defer l.syncing.Unlock()
	l.failWaiters()

	// Between fail and here nobody changes these but the committer, which is us.
	s, err := l.rewrite(l.mu.retained)
	if err != nil {
		l.mu.Lock()
		l.mu.err = fmt.Errorf("%w: %w", ErrFailed, err)
		l.mu.Unlock()
		return false
	}
	failed := l.failedSegments()
	for _, f := range failed {
		l.cutBack(f)
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range failed {
		l.finishCutLocked(f)
	}
	l.mu.unsynced = l.mu.unsynced[:0]
	l.mu.current = s
	if n := len(l.mu.retained); n > 0 {
		l.mu.writtenCommit = l.mu.retained[n-1].num
	}
	l.setSyncedLocked(l.mu.writtenCommit)
	l.mu.err = nil
	l.retry = l.opts.RetryMin
	l.opts.Logger.Info("the log works again", "dir", l.opts.Dir, "segment", s.num, "commit", l.mu.writtenCommit)
	signal(l.kick) // entries may have been pending meanwhile
	return true
}

// failWaiters answers those who joined the next commit before the log failed.
func (l *Log) failWaiters() {
	l.mu.Lock()
	r := l.mu.next
	l.mu.next = nil
	l.mu.Unlock()
	l.finishRound(r)
}

// rewriteChunk is how many bytes of retained commits are written at once.
const rewriteChunk = 1 << 20

// rewrite writes commits to a new segment and syncs it. On failure the segment is gone again.
func (l *Log) rewrite(commits []*encoded) (_ *segment, err error) {
	s, err := l.createSegment()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.discardSegment(s)
		}
	}()
	first := l.last + 1
	if len(commits) > 0 {
		first = commits[0].num
	}
	l.frames = l.appendSegmentStart(l.frames[:0], s, first)
	for i, e := range commits {
		l.frames = e.appendFrames(l.frames, s.size+int64(len(l.frames)))
		s.last = e.num
		if len(l.frames) < rewriteChunk && i < len(commits)-1 {
			continue
		}
		if err := l.writeFrames(s); err != nil {
			return nil, err
		}
	}
	if err := l.writeFrames(s); err != nil {
		return nil, err
	}
	if err := s.file.Sync(); err != nil {
		return nil, fmt.Errorf("walio: sync segment %d: %w", s.num, err)
	}
	s.synced = s.size
	return s, nil
}

func (l *Log) writeFrames(s *segment) error {
	if _, err := s.file.WriteAt(l.frames, s.size); err != nil {
		return fmt.Errorf("walio: write segment %d: %w", s.num, err)
	}
	s.size += int64(len(l.frames))
	l.frames = l.frames[:0]
	return nil
}

// failedSegments are those whose unsynced part now stands in the new segment.
func (l *Log) failedSegments() []*segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	failed := slices.Clone(l.mu.unsynced)
	if c := l.mu.current; c != nil && !slices.Contains(failed, c) {
		failed = append(failed, c) // its first write failed
	}
	return failed
}

// cutBack cuts a segment to its last synced commit. What it fails to cut, the next start does.
func (l *Log) cutBack(s *segment) {
	err := s.file.Truncate(s.synced)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		l.opts.Logger.Warn("could not cut a failed segment back; the next start does it", "dir", l.opts.Dir, "segment", s.num, "err", err)
	}
}

// finishCutLocked enters a segment that was cut back among the finished ones. It may be there already, if
// it was finished before its sync failed.
func (l *Log) finishCutLocked(s *segment) {
	s.file.Close()
	for i := range l.mu.finished {
		if l.mu.finished[i].num == s.num {
			l.mu.finished[i].size = s.synced
			return
		}
	}
	l.mu.finished = append(l.mu.finished, finishedSegment{s.num, max(s.last, l.lastFinishedLocked()), s.synced})
}

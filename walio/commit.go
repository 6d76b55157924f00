package walio

import (
	"fmt"
	"time"
)

// commitLoop is the committer.
func (l *Log) commitLoop() {
	defer l.wg.Done()
	for {
		if l.failed() {
			l.healOrPause()
		}
		select {
		case <-l.stop:
			if l.failed() {
				l.heal()
			}
			l.commit()
			return
		default:
		}
		if l.failed() {
			continue
		}
		select {
		case <-l.kick:
			l.commit()
		case <-l.stop:
		}
	}
}

func (l *Log) failed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.err != nil
}

// commit takes the waiters so far, drains the source and writes what it gave. Whoever calls Wait from here
// on belongs to the next commit: the drain may already have passed his stripe.
func (l *Log) commit() {
	l.waitForRoom()
	l.mu.Lock()
	r := l.mu.next
	l.mu.next = nil
	failed := l.mu.err != nil
	l.mu.Unlock()
	if failed {
		l.finishRound(r)
		return
	}

	l.batch.reset()
	l.source.Drain(l.last+1, &l.batch)
	l.batch.finish()
	if !l.batch.empty() {
		e := l.encode()
		if err := l.write(e); err != nil {
			l.fail(err)
		}
	}
	l.finishRound(r)
}

// waitForRoom waits until the retained commits are below their limit, while a slow disk syncs.
func (l *Log) waitForRoom() {
	for {
		l.mu.Lock()
		if l.mu.retainedBytes <= l.opts.RetainMax || l.mu.err != nil {
			l.mu.Unlock()
			return
		}
		if l.mu.synced == nil {
			l.mu.synced = make(chan struct{})
		}
		synced := l.mu.synced
		l.mu.Unlock()
		signal(l.syncSoon)
		<-synced
	}
}

// encode turns the batch into the next commit and retains it until it is synced.
func (l *Log) encode() *encoded {
	l.mu.Lock()
	var e *encoded
	if n := len(l.mu.free); n > 0 {
		e, l.mu.free = l.mu.free[n-1], l.mu.free[:n-1]
		l.mu.freeBytes -= int64(cap(e.data))
	}
	synced := l.mu.syncedCommit
	l.mu.Unlock()
	if e == nil {
		e = &encoded{}
	}
	l.last++
	h := &l.header
	h.flags = 0
	h.generation, h.epoch = l.opts.Identity.Generation, l.opts.Epoch
	h.commit, h.synced, h.before = l.last, synced, l.totals
	encodeCommit(e, &l.batch, h, l.comp)
	l.totals = l.totals.plus(h.counts)

	e.begun = time.Now()
	l.mu.Lock()
	l.mu.retained = append(l.mu.retained, e)
	l.mu.retainedBytes += e.memory()
	l.mu.stats.count(e, h)
	l.mu.Unlock()
	return e
}

// write puts one commit behind the others with one write, in a new segment if it does not fit.
func (l *Log) write(e *encoded) error {
	s := l.mu.current // only the committer changes it
	if s != nil && s.size > 0 && s.size+e.size() > l.opts.SegmentSize {
		l.finishSegment(s)
		s = nil
	}
	l.frames = reuse(l.frames)
	if s == nil {
		var err error
		if s, err = l.createSegment(); err != nil {
			return err
		}
		l.frames = l.appendSegmentStart(l.frames, s, e.num)
		l.mu.Lock()
		l.mu.current = s
		l.mu.Unlock()
	}
	l.frames = e.appendFrames(l.frames, s.size+int64(len(l.frames)))
	if _, err := s.file.WriteAt(l.frames, s.size); err != nil {
		return fmt.Errorf("walio: write commit %d to segment %d: %w", e.num, s.num, err)
	}

	l.mu.Lock()
	if s.size == s.synced {
		l.mu.unsynced = append(l.mu.unsynced, s)
	}
	s.size += int64(len(l.frames))
	s.last = e.num
	l.mu.writtenCommit = e.num
	l.mu.stats.Bytes += uint64(len(l.frames))
	l.mu.Unlock()
	signal(l.dirty)
	return nil
}

// finishSegment ends a segment: the next commit goes to a new one. The file stays open until it is synced.
func (l *Log) finishSegment(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finishSegmentLocked(s)
}

func (l *Log) finishSegmentLocked(s *segment) {
	s.finished = true
	l.mu.finished = append(l.mu.finished, finishedSegment{s.num, max(s.last, l.lastFinishedLocked()), s.size})
	l.mu.current = nil
	if s.synced == s.size {
		s.file.Close()
	}
}

func (l *Log) lastFinishedLocked() uint64 {
	if n := len(l.mu.finished); n > 0 {
		return l.mu.finished[n-1].last
	}
	return 0
}

// finishRound answers the waiters of a commit that was written, was empty, or failed. An empty one answers
// for all before it: what a waiter found in memory may stand in them.
func (l *Log) finishRound(r *round) {
	if r == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r.commit = l.mu.writtenCommit
	switch {
	case l.mu.err != nil:
		r.err = l.mu.err
		close(r.done)
	case l.mu.syncedCommit < r.commit && (l.opts.Sync == SyncAlways || l.laggingLocked()):
		l.mu.deferred = append(l.mu.deferred, r)
	default:
		close(r.done)
	}
}

// laggingLocked says that the oldest unsynced commit is older than twice the interval: the promise of the
// interval class is used up, so acknowledgements wait.
func (l *Log) laggingLocked() bool {
	return len(l.mu.retained) > 0 && time.Since(l.mu.retained[0].begun) > 2*l.opts.SyncInterval
}

// fail takes the log out of service until heal succeeds. Nothing is acknowledged meanwhile.
func (l *Log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.err != nil {
		return
	}
	l.mu.err = fmt.Errorf("%w: %w", ErrFailed, err)
	l.mu.stats.Failures++
	l.opts.Logger.Error("the log failed; nothing is accepted until it works again", "dir", l.opts.Dir, "err", err)
	for _, r := range l.mu.deferred {
		r.err = l.mu.err
		close(r.done)
	}
	l.mu.deferred = l.mu.deferred[:0]
	l.notifySyncedLocked()
	signal(l.kick)
}

// notifySyncedLocked wakes everybody who waits for a sync; they look for themselves.
func (l *Log) notifySyncedLocked() {
	if l.mu.synced != nil {
		close(l.mu.synced)
		l.mu.synced = nil
	}
}

package walio

import (
	"fmt"
	"time"
)

// syncLoop is the syncer. It sleeps until something is written, and until the interval is over.
func (l *Log) syncLoop() {
	defer close(l.syncDone)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-l.dirty:
		case <-l.syncSoon:
		case <-l.stopSync:
			l.sync()
			return
		}
		if l.opts.Sync == SyncInterval {
			timer.Reset(l.untilSync())
			select {
			case <-timer.C:
			case <-l.syncSoon:
			case <-l.stopSync:
			}
		}
		l.sync()
	}
}

// untilSync is how long the oldest unsynced commit may still wait.
func (l *Log) untilSync() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.mu.retained) == 0 {
		return 0
	}
	return time.Until(l.mu.retained[0].begun.Add(l.opts.SyncInterval))
}

// sync makes everything written so far durable and answers those who wait for it.
func (l *Log) sync() {
	l.syncing.Lock()
	defer l.syncing.Unlock()

	l.mu.Lock()
	if l.mu.err != nil || len(l.mu.unsynced) == 0 {
		l.notifySyncedLocked()
		l.mu.Unlock()
		return
	}
	target := l.mu.writtenCommit
	files := append(l.syncFiles[:0], l.mu.unsynced...)
	sizes := l.syncSizes[:0]
	for _, s := range files {
		sizes = append(sizes, s.size)
	}
	l.mu.Unlock()
	l.syncFiles, l.syncSizes = files, sizes

	began := time.Now()
	for _, s := range files {
		if err := s.file.Sync(); err != nil {
			l.fail(fmt.Errorf("walio: sync segment %d: %w", s.num, err))
			return
		}
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.stats.Syncs++
	l.mu.stats.SyncTime += time.Since(began)
	rest := l.mu.unsynced[:0]
	for i, s := range l.mu.unsynced {
		if i < len(files) {
			s.synced = sizes[i]
		}
		switch {
		case s.synced < s.size:
			rest = append(rest, s)
		case s.finished:
			s.file.Close()
		}
	}
	l.mu.unsynced = rest
	l.setSyncedLocked(target)
}

// setSyncedLocked notes that all commits up to target are durable.
func (l *Log) setSyncedLocked(target uint64) {
	l.mu.syncedCommit = target
	n := 0
	for n < len(l.mu.retained) && l.mu.retained[n].num <= target {
		e := l.mu.retained[n]
		l.mu.retainedBytes -= e.memory()
		if size := int64(cap(e.data)); l.mu.freeBytes+size <= freeBytesMax {
			l.mu.free, l.mu.freeBytes = append(l.mu.free, e), l.mu.freeBytes+size
		}
		n++
	}
	rest := copy(l.mu.retained, l.mu.retained[n:])
	clear(l.mu.retained[rest:])
	l.mu.retained = l.mu.retained[:rest]

	n = 0
	for n < len(l.mu.deferred) && l.mu.deferred[n].commit <= target {
		close(l.mu.deferred[n].done)
		n++
	}
	rest = copy(l.mu.deferred, l.mu.deferred[n:])
	clear(l.mu.deferred[rest:])
	l.mu.deferred = l.mu.deferred[:rest]
	l.notifySyncedLocked()
}

// freeBytesMax bounds the buffers of commits that are kept for reuse, so that a single flood of new series is
// not remembered for ever.
const freeBytesMax = 16 << 20

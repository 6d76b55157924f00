package walio

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Source is where commits come from.
type Source interface {
	// Drain puts everything that is pending into b. It is called by the committer goroutine only. commit is
	// the number that the entries get; the number is used if b is not empty afterwards, or forced.
	Drain(commit uint64, b *Batch)
}

// Log writes one tenant's log. All methods are safe for concurrent use.
//
// Two goroutines own the work. The committer drains the source, encodes, compresses and writes, and heals
// the log after a failure. The syncer syncs, so that commits go on meanwhile.
type Log struct {
	opts   Options
	source Source

	kick     chan struct{} // capacity 1: there is something to commit
	dirty    chan struct{} // capacity 1: there is something to sync
	syncSoon chan struct{} // capacity 1: do not wait for the interval
	stop     chan struct{}
	stopSync chan struct{}
	wg       sync.WaitGroup
	syncDone chan struct{} // closed when the syncer has ended

	// Owned by the committer.
	batch         Batch
	header        commitHeader
	comp          *compressor
	frames        []byte
	segmentRecord []byte
	last          uint64 // greatest commit number used
	totals        Totals
	nextSegment   int
	retry         time.Duration

	// Owned by the syncer: what the sync under way covers.
	syncFiles []*segment
	syncSizes []int64

	// syncing is held while files are synced: the committer heals only when no sync is under way.
	// Taken before mu.
	syncing sync.Mutex
	// cutting serialises Cut, which may take long. Taken before mu.
	cutting struct {
		sync.Mutex
		checkpoint checkpointState
	}

	mu struct {
		sync.Mutex
		// next is what Wait joins: the round of the next commit to begin, nil without waiters.
		next *round
		// deferred are the rounds whose commit is written and that wait for the sync, in ascending order.
		deferred []*round
		// synced is closed and dropped whenever a sync ends, well or not. nil without waiters.
		synced chan struct{}

		// retained are the commits since the last good sync, to be written again if the next one fails.
		retained      []*encoded
		retainedBytes int64
		free          []*encoded // for reuse
		freeBytes     int64

		current  *segment
		unsynced []*segment // those with unsynced commits, ascending; current may be the last
		finished []finishedSegment

		checkpointSeries uint64 // of cutting.checkpoint

		writtenCommit, syncedCommit uint64

		err    error // why the log cannot accept; nil if it can
		closed bool
		stats  Stats
	}
}

// round is the set of callers that wait for the same commit. done is closed when err is final.
type round struct {
	done   chan struct{}
	commit uint64
	err    error
}

// Start opens the log for writing where Recover left it and starts its goroutines. No file is made before
// the first commit.
func Start(opts Options, source Source) (*Log, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	if err := opts.FS.MkdirAll(opts.Dir, 0o777); err != nil {
		return nil, fmt.Errorf("walio: make directory: %w", err)
	}
	if parent := filepath.Dir(opts.Dir); parent != opts.Dir {
		if err := opts.FS.SyncDir(parent); err != nil {
			return nil, fmt.Errorf("walio: sync directory %s: %w", parent, err)
		}
	}
	comp, err := newCompressor(opts.Compression)
	if err != nil {
		return nil, err
	}
	from := opts.Resume
	l := &Log{
		opts:        opts,
		source:      source,
		kick:        make(chan struct{}, 1),
		dirty:       make(chan struct{}, 1),
		syncSoon:    make(chan struct{}, 1),
		stop:        make(chan struct{}),
		stopSync:    make(chan struct{}),
		syncDone:    make(chan struct{}),
		comp:        comp,
		last:        from.Commit,
		totals:      from.Totals,
		nextSegment: from.Segment,
		retry:       opts.RetryMin,
	}
	l.cutting.checkpoint = from.checkpoint
	l.mu.checkpointSeries = from.checkpoint.series
	l.mu.finished = append(l.mu.finished, from.segments...)
	// What Recover read it has also synced.
	l.mu.writtenCommit, l.mu.syncedCommit = from.Commit, from.Commit
	l.wg.Add(1)
	go l.commitLoop()
	go l.syncLoop()
	return l, nil
}

// Wait returns when a commit that began after the call is written (SyncInterval) or synced (SyncAlways).
// Everything that the caller gave to the source before is then in the log. The error wraps ErrFailed if
// that commit failed; its entries may still become durable later.
func (l *Log) Wait(ctx context.Context) error {
	l.mu.Lock()
	if err := l.refusalLocked(); err != nil {
		l.mu.Unlock()
		return err
	}
	r := l.mu.next
	if r == nil {
		r = &round{done: make(chan struct{})}
		l.mu.next = r
		l.Kick() // those who join later find it done
	}
	l.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Kick begins a commit soon, also when nobody waits for it.
func (l *Log) Kick() { signal(l.kick) }

// WaitSynced returns when the given commit, which must have been drained, and all before it are durable. It
// waits for the regular sync; Sync does not.
func (l *Log) WaitSynced(ctx context.Context, commit uint64) error {
	for {
		l.mu.Lock()
		if l.mu.syncedCommit >= commit {
			l.mu.Unlock()
			return nil
		}
		if err := l.refusalLocked(); err != nil {
			l.mu.Unlock()
			return err
		}
		if l.mu.synced == nil {
			l.mu.synced = make(chan struct{})
		}
		synced := l.mu.synced
		l.mu.Unlock()
		select {
		case <-synced:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Sync makes everything written so far durable, without waiting for the interval.
func (l *Log) Sync(ctx context.Context) error {
	commit := l.Written()
	signal(l.syncSoon)
	return l.WaitSynced(ctx, commit)
}

// Err returns nil, or why the log cannot accept now. It wraps ErrFailed or ErrClosed.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refusalLocked()
}

func (l *Log) refusalLocked() error {
	if l.mu.closed {
		return ErrClosed
	}
	return l.mu.err
}

// Written is the greatest commit that is written, with all before it.
func (l *Log) Written() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.writtenCommit
}

// Synced is the greatest commit that is durable, with all before it.
func (l *Log) Synced() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.syncedCommit
}

// Close commits what is pending, syncs and ends the goroutines. The error says that not everything is durable.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.mu.closed = true
	l.mu.Unlock()
	close(l.stop)
	l.wg.Wait() // the last commit is written
	close(l.stopSync)
	<-l.syncDone // and synced
	if l.failed() {
		l.heal() // the last sync failed, and nobody else is left to write it again
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.mu.unsynced {
		s.file.Close()
	}
	if c := l.mu.current; c != nil && !slices.Contains(l.mu.unsynced, c) {
		c.file.Close()
	}
	return l.mu.err
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

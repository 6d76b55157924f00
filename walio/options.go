package walio

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
)

// SyncClass says what an acknowledgement promises.
type SyncClass uint8

const (
	// SyncInterval acknowledges a commit when it is written: it survives the death of the process. It is
	// synced at most SyncInterval later.
	SyncInterval SyncClass = iota
	// SyncAlways acknowledges a commit when it is synced: it survives a power cut.
	SyncAlways
)

// Compression of records. Readers understand all three, whatever they write.
type Compression uint8

const (
	CompressionNone Compression = iota
	CompressionSnappy
	CompressionZstd
)

// Options configure Start.
type Options struct {
	// What and where.

	FS disk.FS
	// Dir holds the segments: <tenant>/wal. It is created if it is missing.
	Dir      string
	Identity Identity
	// Epoch is the fencing number of this process, greater than that of every earlier owner of the
	// directory. Commits of a smaller epoch are ignored from the first commit of a greater one on.
	Epoch uint64
	// Resume is where the log goes on: Result.Position of Recover.
	Resume Position

	// Behaviour.

	// Sync is the class of acknowledgements. Default SyncInterval.
	Sync SyncClass
	// SyncInterval is the longest time a written commit stays unsynced, as long as the disk keeps up; when
	// the oldest unsynced commit is older than twice that, acknowledgements wait for the sync. Default 100ms.
	SyncInterval time.Duration
	// Compression of new records. Default CompressionNone. Snappy halves the log of counters for about 12 ns a
	// sample; zstd takes another quarter to a half off for three times the time.
	Compression Compression

	// Limits and performance.

	// SegmentSize is where a segment ends, in bytes. A commit never crosses segments; one that is larger
	// makes a larger segment. Smaller segments are dropped and replayed in finer steps. Default 16 MiB.
	SegmentSize int64
	// RetainMax bounds the bytes of commits kept for writing them again after a failed sync. When a slow
	// disk fills it, no new commit begins until a sync is through. Default 64 MiB.
	RetainMax int64
	// RetryMin and RetryMax bound the pause between attempts to heal a failed log, which doubles from one
	// to the other. Default 50ms and 2s.
	RetryMin, RetryMax time.Duration

	// PaceCheckpoint is called before Cut writes n bytes of a checkpoint, without a lock but that of Cut, and may sleep to
	// spread them. An error ends the Cut. Default: no limit.
	PaceCheckpoint func(n int) error

	// Logger gets one line when the log fails and one when it works again. Default slog.Default().
	Logger *slog.Logger
}

const (
	defaultSyncInterval = 100 * time.Millisecond
	defaultSegmentSize  = 16 << 20
	defaultRetainMax    = 64 << 20
	defaultRetryMin     = 50 * time.Millisecond
	defaultRetryMax     = 2 * time.Second
)

func (o Options) withDefaults() Options {
	if o.SyncInterval == 0 {
		o.SyncInterval = defaultSyncInterval
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = defaultSegmentSize
	}
	if o.RetainMax == 0 {
		o.RetainMax = defaultRetainMax
	}
	if o.RetryMin == 0 {
		o.RetryMin = defaultRetryMin
	}
	if o.RetryMax == 0 {
		o.RetryMax = max(defaultRetryMax, o.RetryMin)
	}
	if o.PaceCheckpoint == nil {
		o.PaceCheckpoint = func(int) error { return nil }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// validate reports every fault at once.
func (o Options) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("walio: "+format, args...)) }
	if o.FS == nil {
		bad("options without a file system")
	}
	if o.Dir == "" {
		bad("options without a directory")
	}
	if err := o.Identity.validate(); err != nil {
		errs = append(errs, err)
	}
	if o.Sync > SyncAlways {
		bad("unknown sync class %d", o.Sync)
	}
	if o.SyncInterval < 0 {
		bad("sync interval %v is negative", o.SyncInterval)
	}
	if o.Compression > CompressionZstd {
		bad("unknown compression %d", o.Compression)
	}
	if o.SegmentSize < pageSize {
		bad("segment size %d is less than a page of %d bytes", o.SegmentSize, pageSize)
	}
	if o.RetainMax < 0 {
		bad("negative limit for retained bytes %d", o.RetainMax)
	}
	if o.RetryMin < 0 || o.RetryMax < o.RetryMin {
		bad("retry pauses from %v to %v", o.RetryMin, o.RetryMax)
	}
	return errors.Join(errs...)
}

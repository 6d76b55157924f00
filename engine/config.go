package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"runtime"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/walio"
)

// Config says what an Engine does. The zero value of a field is its default, unless its comment says
// otherwise.
type Config struct {
	// Where.

	FS  disk.FS // default disk.OS
	Dir string  // the data directory; one process at a time

	// Instance is the id this process runs under. It is stored in the directory at the first start.
	// InstanceGiven says that an operator chose it: then it must be the stored one.
	Instance      string
	InstanceGiven bool
	// Adopt takes a directory over that belongs to another instance.
	Adopt bool

	// Durability.

	// WAL writes the log. Without it nothing survives the process. Not defaulted.
	WAL bool
	// Recover reads what is in the directory. Without it existing data is set aside, never deleted. Not
	// defaulted.
	Recover bool
	// Checkpoint writes images, so that a restart replays a short tail only. Not defaulted.
	Checkpoint bool

	Sync         walio.SyncClass
	SyncInterval time.Duration // default 100ms
	Compression  walio.Compression
	SegmentSize  int64 // default 16 MiB

	// RestartTarget is how long replaying the log may take after a crash: a stripe is imaged when the tail
	// behind the images would take longer. 0 = as long as reading the images takes, and 200ms at least: a shorter tail
	// of many series would cost many images and hardly shorten the start.
	RestartTarget time.Duration
	// CheckpointDuration is the longest time between two images of a stripe that changes. Default 5m.
	CheckpointDuration time.Duration
	// CheckpointRate caps the bytes a second that images are written with. 0 = no cap.
	CheckpointRate int64

	// Behaviour.

	// Stripes of a new tenant: a power of two from 1 to 64. More stripes serve more cores and cost memory for
	// repeated label strings. Default: 8 a core, at least 16.
	Stripes int
	// CreateGrace is how far ahead of the clock a sample may be. Default 10m.
	CreateGrace time.Duration
	// MetadataRetain is how long metadata is kept after it was last sent. Default 10m.
	MetadataRetain time.Duration

	// Limits.

	// MaxPendingBytes bounds what waits for the log, and what waits for the chunk files, of one tenant; beyond
	// it pushes are refused with 503. Default 256 MiB.
	MaxPendingBytes int64
	// MatchCacheBytes bounds the memory of what queries learnt of label values: half of it which of them a regular
	// expression accepts, half of it which distinct ones a label has. Default 64 MiB.
	MatchCacheBytes int64

	Logger *slog.Logger     // default slog.Default()
	Now    func() time.Time // default time.Now

	// crash is called at named points of checkpoint and recovery; a test ends the process there.
	crash func(point string)
}

const maxStripes = 64

// stripesFor is how many stripes serve so many cores. With 1M series and requests of 500, 64 stripes cost an append
// a tenth more than 32 do, and 32 a twentieth more than 16, for there are fewer series a stripe to fetch together; a
// series costs 38 bytes more with 64 than with 32, and 27 more with 32 than with 16.
func stripesFor(cores int) int {
	n := 16
	for n < 8*cores && n < maxStripes {
		n *= 2
	}
	return n
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if c.FS == nil {
		c.FS = disk.OS
	}
	if c.Instance == "" {
		c.Instance = "rekindle"
	}
	def(&c.SyncInterval, 100*time.Millisecond)
	def(&c.CheckpointDuration, 5*time.Minute)
	def(&c.CreateGrace, 10*time.Minute)
	def(&c.MetadataRetain, 10*time.Minute)
	if c.SegmentSize == 0 {
		c.SegmentSize = 16 << 20
	}
	if c.Stripes == 0 {
		c.Stripes = stripesFor(runtime.GOMAXPROCS(0))
	}
	if c.MaxPendingBytes == 0 {
		c.MaxPendingBytes = 256 << 20
	}
	if c.MatchCacheBytes == 0 {
		c.MatchCacheBytes = 64 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.crash == nil {
		c.crash = func(string) {}
	}
	return c
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("engine: "+format, args...))
		}
	}
	bad(c.Dir != "", "no data directory")
	bad(c.Stripes >= 1 && c.Stripes <= maxStripes && bits.OnesCount(uint(c.Stripes)) == 1, "%d stripes: not a power of two from 1 to %d", c.Stripes, maxStripes)
	bad(c.SyncInterval > 0, "sync interval %v is not positive", c.SyncInterval)
	bad(c.RestartTarget >= 0, "restart target %v is negative", c.RestartTarget)
	bad(c.CheckpointDuration > 0, "checkpoint duration %v is not positive", c.CheckpointDuration)
	bad(c.CheckpointRate >= 0, "checkpoint rate %d is negative", c.CheckpointRate)
	bad(c.CreateGrace >= 0, "create grace period %v is negative", c.CreateGrace)
	bad(c.SegmentSize >= 64<<10, "log segments of %d bytes: at least 64 KiB", c.SegmentSize)
	return errors.Join(errs...)
}

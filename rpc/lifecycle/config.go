package lifecycle

import (
	"log/slog"
	"time"

	"github.com/grafana/dskit/kv"

	"github.com/rekindledb/rekindle/arena/disk"
)

// Config says who this instance is and how it moves through the ring. Fields without a default are needed.
type Config struct {
	Addr string // host:port of gRPC, which no other instance has
	Zone string

	// KV holds the ring.
	KV kv.Client
	// TokensFile is where the instance remembers itself. Empty: nowhere, every start is a new instance.
	TokensFile string
	// MarkerFile exists while a shutdown is prepared.
	MarkerFile string
	FS         disk.FS // default disk.OS

	// NumTokens is the share of the ring, relative to the others'. Changing it moves series. Default 128.
	NumTokens int
	// HeartbeatPeriod is how often the entry is refreshed; 0 = only when it changes. Others call this instance unhealthy
	// when the last one is older than HeartbeatTimeout, here used for what is shown and for CheckRingHealth.
	HeartbeatPeriod, HeartbeatTimeout time.Duration
	// JoinAfter is how long a new instance waits for the tokens and data of a leaving one.
	JoinAfter time.Duration
	// ObservePeriod is how long a joining instance waits whether somebody else has its tokens. Worth it with gossip.
	ObservePeriod time.Duration
	// MinReady is how long an instance is a member before it says that it is ready: slows roll-outs down.
	MinReady time.Duration
	// CheckRingHealth makes readiness depend on all other instances.
	CheckRingHealth bool
	// ReadOnlyFlag says READONLY as Mimir does: ACTIVE with a flag.
	ReadOnlyFlag bool

	Logger *slog.Logger     // default slog.Default()
	Now    func() time.Time // default time.Now
}

func (c Config) withDefaults() Config {
	if c.FS == nil {
		c.FS = disk.OS
	}
	if c.NumTokens == 0 {
		c.NumTokens = 128
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

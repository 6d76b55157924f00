package walio

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
)

// Handler takes what is replayed.
type Handler interface {
	// Apply gives one stripe what a stretch of the log holds for it, in log order, reduced to commits greater
	// than RecoverOptions.From of that stripe. One goroutine at a time calls it for a stripe; different
	// stripes run in parallel. w and everything in it is reused after Apply returns. An error ends Recover.
	//
	// A series may be defined twice, by the checkpoint and by the log: the second definition of a reference
	// is to be ignored. Samples of a reference that was never defined can occur after damage only.
	Apply(stripe int, w []StripeWindow) error
}

// StripeWindow is what a window holds for one stripe: Runs say in which order the columns are to be read.
type StripeWindow struct {
	Runs []Run
	// Series and Samples are shared by all stripes of the window; only the ranges of Runs are this stripe's.
	Series  []SeriesDef
	Samples []RefSample
}

// Run is a stretch of entries of one kind.
type Run struct {
	Kind RunKind
	// Lo and Hi are the range in Series or Samples.
	Lo, Hi uint32
	Base   int64 // of the times of samples
	// Record is a whole record of another kind, as Batch.Record got it. It may name other stripes too.
	Record []byte
}

// RunKind says what a Run holds.
type RunKind uint8

const (
	RunSamples RunKind = iota
	RunSeries
	RunRecord
)

// SeriesDef names a series. Key is its label set in canonical form.
type SeriesDef struct {
	Ref uint64
	Key []byte
}

// RefSample is a float sample of the series with the given index of the stripe. It is small because a round of
// the replay is written to memory and read again.
type RefSample struct {
	V      uint64
	Index  uint32
	Offset int32 // the time is Run.Base + Offset
}

// RecoverOptions configure Recover.
type RecoverOptions struct {
	FS       disk.FS
	Dir      string // <tenant>/wal
	Identity Identity
	// Epoch is that of this process. A log that a greater epoch has written is refused with ErrFenced.
	Epoch uint64
	// From is, for each stripe, the commit that its image contains: only later ones are applied. nil means
	// all of the log for all stripes. A stripe that is empty needs its commit from the catalogue too,
	// else commits that were cut long ago count as lost.
	From []uint64
	// SyncedThrough is the greatest commit that images and catalogue know to have been durable. A gap up to
	// there is damage; a gap beyond everything known is the torn end of an unclean stop.
	SyncedThrough uint64
	// MinCommit and MinSegment keep the numbers going when images or the catalogue know greater ones than
	// the log: the position returned is at least that.
	MinCommit  uint64
	MinSegment int
	// AsideDir gets the bytes that recovery cuts off or replaces. It is created when needed.
	AsideDir string
	// Ledger is the file to which losses are appended, one JSON object a line. Empty means only the Result has them.
	Ledger string

	// Settle is called while the log is replayed, after every SettleBytes of it, by one goroutine: all stripes are at
	// the commit given, the log is synced up to it, and the caller may make images of it. An error ends Recover. nil
	// leaves it out.
	Settle      func(context.Context, Settled) error
	SettleBytes int64

	// Workers is the number of goroutines that decode and apply. Default GOMAXPROCS.
	Workers int
	// Window is how many float samples are decoded and applied together, unless one commit holds more; a new
	// series counts as some. They take 16 bytes each. Default 6M.
	Window int
	// Progress is called, by one goroutine at a time, some times a second. May be nil.
	Progress func(Progress)
	// Logger gets a line for everything that is not as it should be. Default slog.Default().
	Logger *slog.Logger
}

// Progress says how far Recover is.
type Progress struct {
	Phase       string // "scan", "replay"
	Done, Total int64  // bytes of the log in this phase
	Samples     uint64 // applied so far
}

// Result is what Recover found.
type Result struct {
	// Position is where Start goes on.
	Position Position
	// LastCommit is the greatest commit in the log itself, 0 in an empty one.
	LastCommit uint64
	// MaxSynced is the greatest commit known to have been durable before the stop.
	MaxSynced uint64
	// MaxIndex is the greatest series index seen anywhere, by stripe: checkpoint, and every reference of
	// every kind of record that was read. Commits that all images contain are not read again.
	MaxIndex []uint64
	// Losses are what damage has cost, without what the ledger had before.
	Losses []Loss
	// CheckpointDamaged says that names in checkpoint.N were unreadable; the next Cut writes all of it anew.
	CheckpointDamaged bool

	TornBytes int64 // cut off the end, never acknowledged as durable
	// Fenced commits were written by an earlier owner of the directory after a later one had taken over.
	Fenced  uint64
	Commits uint64 // read
	// Read is what those commits held, Applied what of it the handler got.
	Read, Applied                    Totals
	Bytes                            int64 // of the log on disk
	Segments                         int
	ScanTime, ReplayTime, RepairTime time.Duration
}

const defaultWindow = 6 << 20

func (o RecoverOptions) withDefaults() RecoverOptions {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Window <= 0 {
		o.Window = defaultWindow
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

func (o RecoverOptions) validate() error {
	if o.FS == nil || o.Dir == "" {
		return fmt.Errorf("walio: recover options without a file system or a directory")
	}
	if o.From != nil && len(o.From) != int(o.Identity.Stripes) {
		return fmt.Errorf("walio: recover options with %d image commits for %d stripes", len(o.From), o.Identity.Stripes)
	}
	return o.Identity.validate()
}

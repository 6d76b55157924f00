package walio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
)

// Loss is one entry of the ledger: what damage has cost.
type Loss struct {
	Time time.Time `json:"time"`
	// Generation is the tenant's: commit numbers begin anew with each.
	Generation uint64 `json:"generation"`
	// File is where the damage is, and Reason what is wrong with it.
	File   string `json:"file"`
	Reason string `json:"reason"`
	// FirstCommit to LastCommit are lost, or a part of one commit if Partial is set.
	FirstCommit uint64 `json:"first_commit"`
	LastCommit  uint64 `json:"last_commit"`
	Partial     bool   `json:"partial,omitempty"`
	// Samples, Series and Others count the float samples, the definitions of series and the other records
	// that are lost. Bound says how to read them.
	Samples uint64 `json:"samples"`
	Series  uint64 `json:"series"`
	Others  uint64 `json:"others,omitempty"`
	Bound   Bound  `json:"bound"`
	// MinT and MaxT bound the times of the lost samples, in milliseconds: those of the commit's header, or
	// of the neighbours where that is lost too. Both 0 where nothing is known.
	MinT int64 `json:"min_t"`
	MaxT int64 `json:"max_t"`
}

// Bound says what the counts of a Loss mean.
type Bound string

const (
	// BoundExact: exactly that many.
	BoundExact Bound = "exact"
	// BoundAtMost: some of the lost commits' entries may be in images.
	BoundAtMost Bound = "at most"
	// BoundUnknown: nothing is left that tells. The counts are 0.
	BoundUnknown Bound = "unknown"
)

func (r *recovery) lose(l Loss) {
	l.Time, l.Generation = time.Now().UTC(), r.opts.Identity.Generation
	r.result.Losses = append(r.result.Losses, l)
}

// findLosses turns gaps and partial commits into losses.
func (r *recovery) findLosses() {
	for _, g := range r.plan.gaps {
		r.lose(r.gapLoss(g))
	}
	for _, p := range r.partial {
		r.lose(Loss{
			File: segmentName(p.extent.seg.num), Reason: "records of a commit are unreadable",
			FirstCommit: p.commit, LastCommit: p.commit, Partial: true,
			Samples: p.lost.Samples, Series: p.lost.Series, Others: p.lost.Others,
			Bound: r.bound(p.commit), MinT: p.minT, MaxT: p.maxT,
		})
	}
}

// bound is BoundExact if no image contains any part of a commit.
func (r *recovery) bound(first uint64) Bound {
	for _, from := range r.from {
		if from >= first {
			return BoundAtMost
		}
	}
	return BoundExact
}

// gapLoss counts what stood in a gap, from the running totals on both sides of it.
func (r *recovery) gapLoss(g gap) Loss {
	l := Loss{
		File: r.gapFile(g), Reason: "commits are missing or unreadable",
		FirstCommit: g.first, LastCommit: g.last, Bound: BoundUnknown,
	}
	var before Totals // of everything before the gap
	known := g.first == 1
	if g.prev != nil {
		before, known = g.prev.after(), g.prev.last+1 == g.first && !g.prev.trimmed
		l.MinT, l.MaxT = g.prev.maxT, g.prev.maxT
	}
	if g.next == nil || g.next.trimmed || g.next.before.less(before) {
		return l
	}
	lost := g.next.before.minus(before)
	l.Samples, l.Series, l.Others = lost.Samples, lost.Series, lost.Others
	l.MinT, l.MaxT = min(l.MinT, g.next.minT), max(l.MaxT, g.next.minT)
	if g.prev == nil {
		l.MinT = 0
	}
	if l.Bound = r.bound(g.first); !known {
		l.Bound = BoundAtMost
	}
	return l
}

func (t Totals) minus(u Totals) Totals {
	return Totals{t.Series - u.Series, t.Samples - u.Samples, t.Others - u.Others}
}

// less says that t cannot come after u.
func (t Totals) less(u Totals) bool {
	return t.Series < u.Series || t.Samples < u.Samples || t.Others < u.Others
}

// gapFile names the segment that is missing, or the one in which the gap is.
func (r *recovery) gapFile(g gap) string {
	if g.prev != nil && g.next != nil && g.prev.seg != g.next.seg {
		for num := g.prev.seg.num + 1; num < g.next.seg.num; num++ {
			if !r.listing.has(num) {
				return segmentName(num)
			}
		}
		return segmentName(g.prev.seg.num)
	}
	if g.seg != nil {
		return segmentName(g.seg.num)
	}
	return filepath.Base(r.opts.Dir)
}

// writeLedger appends the losses to the ledger and reduces r.result.Losses to those that it did not have yet:
// a gap in the numbers stays, and is found by every start until the log is cut.
func (r *recovery) writeLedger() error {
	if len(r.result.Losses) == 0 {
		return nil
	}
	known, err := r.readLedger()
	if err != nil {
		return err
	}
	r.result.Losses = slices.DeleteFunc(r.result.Losses, func(l Loss) bool { return known[ledgerKey(l)] })
	var lines []byte
	for _, l := range r.result.Losses {
		r.opts.Logger.Error("acknowledged data is lost", "dir", r.opts.Dir, "file", l.File, "reason", l.Reason,
			"first_commit", l.FirstCommit, "last_commit", l.LastCommit, "samples", l.Samples, "series", l.Series, "bound", string(l.Bound))
		line, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("walio: encode ledger entry: %w", err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if len(lines) == 0 || r.opts.Ledger == "" {
		return nil
	}
	return appendFile(r.opts.FS, r.opts.Ledger, lines)
}

func ledgerKey(l Loss) string {
	if l.FirstCommit == 0 {
		return fmt.Sprintf("%d %s %d", l.Generation, l.File, l.Series) // names in a checkpoint
	}
	return fmt.Sprintf("%d %d-%d %t", l.Generation, l.FirstCommit, l.LastCommit, l.Partial)
}

// readLedger returns the keys of all entries. Lines that do not parse are passed over.
func (r *recovery) readLedger() (map[string]bool, error) {
	if r.opts.Ledger == "" {
		return nil, nil
	}
	data, err := disk.ReadFile(r.opts.FS, r.opts.Ledger)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("walio: read ledger: %w", err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		var l Loss
		if json.Unmarshal([]byte(line), &l) == nil {
			known[ledgerKey(l)] = true
		}
	}
	return known, nil
}

// appendFile appends lines of JSON to a file, which is created if it is missing, and syncs both. What a crash left of
// a line behind the last whole one is cut off.
func appendFile(fsys disk.FS, name string, data []byte) error {
	f, err := fsys.OpenRW(name)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = fsys.Create(name); err == nil {
			err = fsys.SyncDir(filepath.Dir(name))
		}
	}
	if err != nil {
		return fmt.Errorf("walio: open %s: %w", name, err)
	}
	defer f.Close()
	end, err := wholeLines(fsys, name)
	if err == nil {
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.WriteAt(data, end)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("walio: append to %s: %w", name, err)
	}
	return nil
}

// wholeLines returns where the last whole line of JSON in a file ends.
func wholeLines(fsys disk.FS, name string) (end int64, err error) {
	data, err := disk.ReadFile(fsys, name)
	at := int64(0)
	for line := range bytes.Lines(data) {
		if at += int64(len(line)); line[len(line)-1] == '\n' && json.Valid(line) {
			end = at
		}
	}
	return end, err
}

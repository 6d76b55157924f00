package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/arena/disk"
)

// TakenIn counts what became of a batch that was taken in.
type TakenIn struct {
	AppendResult
	OutOfOrder int // refused: older than the series' newest sample
	Conflicts  int // refused: another value stands at that time
}

// TakeIn stores samples that another process has accepted before, for an import: they may be as old and as new as
// they like, only each series must come in order. It waits for the disk where Append would refuse, and it does not wait
// until the samples are in the log: Close does.
func (e *Engine) TakeIn(ctx context.Context, tenant string, b *Batch) (TakenIn, error) {
	e.appending.RLock()
	defer e.appending.RUnlock()
	if e.closed || !e.ready.Load() {
		return TakenIn{}, unavailable("%s", e.progress.get())
	}
	t := e.Tenant(tenant)
	if t == nil {
		var err error
		if t, err = e.create(tenant); err != nil {
			return TakenIn{}, err
		}
	}
	if err := t.makeRoom(ctx); err != nil {
		return TakenIn{}, err
	}
	bd := bounds{minT: earliest, maxT: math.MaxInt64}
	for i := range b.Samples {
		bd.now = max(bd.now, uint32(max(0, b.Samples[i].T)/1000))
	}
	o := outcome{minT: math.MaxInt64, maxT: math.MinInt64}
	err := t.place(b, bd, &o)
	t.count(b, &o)
	raiseTo(&t.maxT, o.maxT)
	if err != nil {
		return TakenIn{}, unavailable("tenant %s: %w", t.id, err)
	}
	if t.wal != nil {
		t.wal.Kick()
	}
	r := TakenIn{
		AppendResult: AppendResult{Stored: o.stored, Duplicates: o.duplicates, NewSeries: o.newSeries, Rejected: b.Invalid},
		OutOfOrder:   o.rejected[ReasonOutOfOrder] + o.rejected[ReasonOutOfBounds], Conflicts: o.rejected[ReasonNewValue],
	}
	for _, n := range o.rejected {
		r.Rejected += n
	}
	return r, nil
}

// makeRoom waits until what is on its way to the log and to the chunk files is well below the limits.
func (t *Tenant) makeRoom(ctx context.Context) error {
	if t.wal != nil {
		if err := t.wal.Err(); err != nil {
			return unavailable("tenant %s: the log cannot be written: %w", t.id, err)
		}
		if t.pending.Load()*entrySize > t.e.cfg.MaxPendingBytes/4 {
			if err := t.wal.Wait(ctx); err != nil {
				return unavailable("tenant %s: %w", t.id, err)
			}
		}
	}
	if t.bufferedChunks() > t.e.cfg.MaxPendingBytes/4 {
		return t.flushChunks()
	}
	return ctx.Err()
}

// AppendKey appends the canonical key of a label set, see BatchSeries.Key. Labels without a value are left out, as
// Prometheus does. ok is false if it is none that a series can have.
func AppendKey(dst []byte, l labels.Labels) (key []byte, ok bool) {
	from := len(dst)
	l.Range(func(l labels.Label) {
		if l.Value != "" {
			dst = appendPair(dst, l.Name, l.Value)
		}
	})
	return dst, validKey(dst[from:])
}

// Hold takes the lock of a data directory, which is made if it is missing, for a tool that works in it: no ingester
// starts on it until it is given back. Unlike Open it neither looks nor decides whose the directory is. A *LockedError
// says that another process holds it.
func Hold(fsys disk.FS, dir, tool string) (release io.Closer, err error) {
	own := filepath.Join(dir, ownDir)
	if err := disk.MkdirAllSync(fsys, own, 0o755); err != nil {
		return nil, fmt.Errorf("engine: make the data directory %s: %w", dir, err)
	}
	lock, err := fsys.Lock(filepath.Join(own, lockFile))
	if errors.Is(err, disk.ErrLocked) {
		return nil, &LockedError{Dir: dir, Holder: holder(fsys, filepath.Join(own, ownerFile))}
	}
	if err != nil {
		return nil, fmt.Errorf("engine: lock the data directory %s: %w", dir, err)
	}
	host, _ := os.Hostname()
	b, err := json.Marshal(owner{PID: os.Getpid(), Host: host, Instance: tool, Since: time.Now().UTC()})
	if err == nil {
		err = disk.WriteFileAtomic(fsys, filepath.Join(own, ownerFile), b)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("engine: write the owner file: %w", err), lock.Close())
	}
	return lock, nil
}

// ImportDir is where in a data directory a tenant is made that is to appear in it as a whole. Every start removes it.
func ImportDir(dir string) string { return filepath.Join(dir, ownDir, "import"+disk.TempSuffix) }

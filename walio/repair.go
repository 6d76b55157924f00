package walio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/rekindledb/rekindle/arena/disk"
)

// repair is the last step of recovery: it makes the files hold exactly the log that was replayed, so that
// stock tools read them without an error and the next start finds nothing to report again. The order is
//
//	ledger written and synced  ->  bytes copied aside  ->  segments cut or replaced  ->  tail synced
//
// Nothing here needs disk space unless something is damaged. If the disk is full, damaged segments stay as
// they are until the next start: replay copes with them as it just did.
func (r *recovery) repair(ctx context.Context) error {
	r.findLosses()
	if err := r.orFull(r.writeLedger()); err != nil {
		return err
	}
	if err := r.removeLeftovers(); err != nil {
		return err
	}
	changed := false
	// From the newest to the oldest: a crash in between leaves a shorter log that ends at the same commit.
	for i := len(r.segments) - 1; i >= 0; i-- {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		seg := r.segments[i]
		if seg.skipped {
			continue
		}
		did, err := r.repairSegment(seg)
		if err != nil {
			return err
		}
		changed = changed || did
	}
	filled, err := r.fillHoles()
	if err != nil {
		return err
	}
	if err := r.syncTail(); err != nil {
		return err
	}
	if changed || filled || r.plan.end > r.plan.maxSynced {
		if err := r.opts.FS.SyncDir(r.opts.Dir); err != nil {
			return fmt.Errorf("walio: sync directory %s: %w", r.opts.Dir, err)
		}
	}
	return nil
}

// orFull turns "disk full" into a warning.
func (r *recovery) orFull(err error) error {
	if err != nil && disk.IsFull(err) {
		r.opts.Logger.Warn("the disk is full: damage is left in place until the next start", "dir", r.opts.Dir, "err", err)
		return nil
	}
	return err
}

// removeLeftovers removes unfinished files and what an interrupted Cut left behind: older checkpoints, and
// segments that the newest checkpoint covers, if no image needs them.
func (r *recovery) removeLeftovers() error {
	remove := slices.Clone(r.listing.leftovers)
	if n := len(r.listing.checkpoints); n > 0 {
		for _, num := range r.listing.checkpoints[:n-1] {
			remove = append(remove, checkpointPath(r.opts.Dir, num))
		}
		newest := r.listing.checkpoints[n-1]
		for len(r.segments) > 1 && r.segments[0].num <= newest && r.segments[0].skipped {
			remove = append(remove, r.segments[0].path)
			r.segments = r.segments[1:]
		}
	}
	for _, name := range remove {
		if err := r.opts.FS.RemoveAll(name); err != nil {
			return fmt.Errorf("walio: remove leftover %s: %w", name, err)
		}
	}
	if len(remove) > 0 {
		r.opts.Logger.Info("removed what an interrupted step left behind", "files", remove)
	}
	return nil
}

// repairSegment compares a segment with what of it belongs to the log, and cuts or replaces it.
func (r *recovery) repairSegment(seg *segmentScan) (changed bool, err error) {
	pieces := r.plan.inSegment(seg)
	end, clean, err := r.cleanEnd(seg, pieces)
	if err != nil {
		return false, err
	}
	switch {
	case !clean:
		if err := r.replaceSegment(seg, pieces); err != nil {
			return false, r.orFull(err)
		}
	case end < seg.size:
		if err := r.cutTail(seg, end); err != nil {
			return false, err
		}
	default:
		return false, nil
	}
	return true, nil
}

// cleanEnd returns where the part of seg that belongs to the log ends, if that part is a prefix of it.
func (r *recovery) cleanEnd(seg *segmentScan, pieces []extent) (int64, bool, error) {
	if seg.header == nil {
		return 0, len(pieces) == 0, nil // an unreadable segment without a commit is cut to nothing
	}
	if seg.rewrite {
		return 0, false, nil
	}
	pos := seg.headerEnd
	for i, e := range pieces {
		if e.damaged || e.off != pos || r.isPartial(e) {
			return 0, false, nil
		}
		pos = e.end
		if !e.trimmed {
			continue
		}
		from, to, err := r.locate(e)
		if err != nil {
			return 0, false, err
		}
		if from != e.off || i < len(pieces)-1 {
			return 0, false, nil
		}
		pos = to
	}
	return pos, true, nil
}

func (r *recovery) isPartial(e extent) bool {
	return slices.ContainsFunc(r.partial, func(p partialIn) bool {
		return p.extent.seg == e.seg && p.commit >= e.first && p.commit <= e.last
	})
}

// locate returns where the commits e.first to e.last of a trimmed extent begin and end.
func (r *recovery) locate(e extent) (from, to int64, err error) {
	d := &extentDecoder{fs: r.opts.FS}
	defer d.close()
	f, err := d.open(e.seg.path)
	if err != nil {
		return 0, 0, err
	}
	d.r.reset(f, e.off, e.end)
	from, to = e.off, e.end
	before := e.off
	for d.nextHeader() {
		if d.header.commit == e.first {
			from = before
		}
		if d.header.commit > e.last {
			to = before
			break
		}
		d.commit(nil, false)
		before = d.r.pos
	}
	if d.r.err != nil {
		return 0, 0, fmt.Errorf("walio: read segment %s: %w", e.seg.path, d.r.err)
	}
	if e.last < e.first {
		return from, e.off, nil
	}
	return from, to, nil
}

// cutTail cuts a segment to its first end bytes. The rest was never acknowledged as durable; it is kept
// aside all the same, if there is room.
func (r *recovery) cutTail(seg *segmentScan, end int64) error {
	f, err := r.opts.FS.OpenRW(seg.path)
	if err != nil {
		return fmt.Errorf("walio: open segment: %w", err)
	}
	defer f.Close()
	tail := make([]byte, seg.size-end)
	if _, err := f.ReadAt(tail, end); err != nil {
		return fmt.Errorf("walio: read the tail of segment %s: %w", seg.path, err)
	}
	if !allZero(tail) {
		name := fmt.Sprintf("%s.tail-%d", segmentName(seg.num), end)
		if err := r.orFull(r.keepAside(name, tail)); err != nil {
			return err
		}
	}
	if err := f.Truncate(end); err != nil {
		return fmt.Errorf("walio: cut segment %s to %d bytes: %w", seg.path, end, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("walio: sync segment %s: %w", seg.path, err)
	}
	r.opts.Logger.Warn("cut the end of a log segment that no commit needs", "segment", seg.path, "bytes", len(tail), "last_commit", r.plan.end)
	r.result.TornBytes += int64(len(tail))
	seg.size = end
	return nil
}

// keepAside writes data to a new file of the aside directory.
func (r *recovery) keepAside(name string, data []byte) error {
	path, err := r.asidePath(name)
	if path == "" || err != nil {
		return err
	}
	f, err := r.opts.FS.Create(path)
	if err != nil {
		return fmt.Errorf("walio: keep %s aside: %w", name, err)
	}
	defer f.Close()
	if _, err = f.WriteAt(data, 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = r.opts.FS.SyncDir(r.opts.AsideDir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("walio: keep %s aside: %w", name, err), r.opts.FS.Remove(path))
	}
	return nil
}

// asidePath makes the aside directory and returns a name in it that is free.
func (r *recovery) asidePath(name string) (string, error) {
	if r.opts.AsideDir == "" {
		return "", nil
	}
	if err := r.opts.FS.MkdirAll(r.opts.AsideDir, 0o777); err != nil {
		return "", fmt.Errorf("walio: make directory for what is kept aside: %w", err)
	}
	path := filepath.Join(r.opts.AsideDir, name)
	for i := 1; ; i++ {
		_, err := r.opts.FS.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		if err != nil {
			return "", fmt.Errorf("walio: look for a free name aside: %w", err)
		}
		path = filepath.Join(r.opts.AsideDir, fmt.Sprintf("%s.%d", name, i))
	}
}

// syncTail makes durable what nothing says is. The bytes are written over themselves first: if the process
// before this one died of a failed sync, the kernel has forgotten that they are dirty.
func (r *recovery) syncTail() error {
	for _, seg := range r.segments {
		off := int64(-1)
		for _, e := range r.plan.inSegment(seg) {
			if e.last > r.plan.maxSynced && off < 0 {
				off = e.off
			}
		}
		if off < 0 {
			continue
		}
		if err := r.rewriteTail(seg, off); err != nil {
			return err
		}
	}
	return nil
}

func (r *recovery) rewriteTail(seg *segmentScan, off int64) error {
	f, err := r.opts.FS.OpenRW(seg.path)
	if err != nil {
		return fmt.Errorf("walio: open segment: %w", err)
	}
	defer f.Close()
	buf := make([]byte, min(rewriteChunk, max(seg.size-off, 0)))
	for off < seg.size {
		buf = buf[:min(int64(len(buf)), seg.size-off)]
		if _, err := f.ReadAt(buf, off); err != nil {
			return fmt.Errorf("walio: read segment %s: %w", seg.path, err)
		}
		if _, err := f.WriteAt(buf, off); err != nil {
			return fmt.Errorf("walio: write segment %s again: %w", seg.path, err)
		}
		off += int64(len(buf))
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("walio: sync segment %s: %w", seg.path, err)
	}
	return nil
}

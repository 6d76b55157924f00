package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/overlay"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/walio"
)

var quiet = slog.New(slog.DiscardHandler)

// discard replays a log for nobody.
type discard struct{}

func (discard) Apply(int, []walio.StripeWindow) error { return nil }

// log checks segments and checkpoints byte by byte, and then has the log recovered on the overlay: what that changes,
// and loses, is what the next start will.
func (v *verifier) log(ctx context.Context, d tenantDir, o *overlay.FS, cat *ckpt.Catalogue, from []uint64) error {
	dir := engine.WALPath(d.path)
	segments, checkpoints, unfinished, err := walio.SegmentNames(disk.OS, dir)
	if err != nil {
		return err
	}
	for _, name := range unfinished {
		v.add(finding{note, name, -1, "unfinished", "nothing: the next start removes it"})
	}
	faults, err := v.segments(ctx, segments)
	if err != nil {
		return err
	}
	for i, name := range checkpoints {
		if err := v.checkpoint(ctx, name, i == len(checkpoints)-1); err != nil {
			return err
		}
	}
	if cat == nil {
		for _, list := range faults {
			for _, f := range list {
				f.level, f.do = damage, ""
				v.add(f)
			}
		}
		return nil
	}
	at := filepath.Join(snapshotDir, d.id)
	res, err := walio.Recover(ctx, walio.RecoverOptions{
		FS: o, Dir: engine.WALPath(at), Identity: engine.LogIdentity(cat.Identity), Epoch: cat.Epoch + 1,
		From: from, SyncedThrough: cat.SyncedThrough, AsideDir: filepath.Join(snapshotDir, "@aside"), Ledger: engine.LedgerPath(at),
		Progress: func(p walio.Progress) { v.progress.say("replay of the log: %s of %s", bytes(p.Done), bytes(p.Total)) },
		Logger:   quiet,
	}, discard{})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		v.add(finding{damage, dir, -1, fmt.Sprintf("no start is possible: %v", err), "the message says what to do; nothing is changed by a start that is refused"})
		return nil
	}
	changes, err := o.Changes(engine.WALPath(at))
	if err != nil {
		return err
	}
	byName := map[string]overlay.Change{}
	for _, c := range changes {
		byName[filepath.Join(d.path, short(at, c.Path))] = c
	}
	for _, name := range segments {
		v.segment(name, faults[name], byName[name], res.Fenced > 0)
		delete(byName, name)
	}
	for name, c := range byName {
		if c.Kind == overlay.Created && filepath.Dir(name) == dir {
			v.add(finding{damage, name, -1, "this segment is missing", "the next start puts an empty one in its place; what is lost by it is said apart"})
		}
	}
	for _, l := range res.Losses {
		v.loss(dir, l)
	}
	return nil
}

// segments inspects all segments, and returns their faults.
func (v *verifier) segments(ctx context.Context, names []string) (map[string][]finding, error) {
	var mu sync.Mutex
	all := map[string][]finding{}
	return all, each(ctx, names, func(name string) error {
		faults, _, err := inspectFaults(name)
		if errors.Is(err, walio.ErrForeign) || errors.Is(err, walio.ErrVersion) {
			faults, err = append(faults, finding{file: name, off: 0, what: err.Error()}), nil
		}
		if err != nil {
			return err
		}
		v.read("log", sizeOf(name))
		mu.Lock()
		defer mu.Unlock()
		all[name] = faults
		return nil
	})
}

// segment says what is wrong with a segment, from its faults and from what a start would make of it.
func (v *verifier) segment(name string, faults []finding, c overlay.Change, fenced bool) {
	end := sizeOf(name)
	switch c.Kind {
	case overlay.Cut:
		end = c.At
		what := fmt.Sprintf("the last %d bytes are the unfinished end of an unclean stop", sizeOf(name)-end)
		if fenced {
			what = fmt.Sprintf("the last %d bytes were written by a process that had lost the directory to another one, or are unfinished", sizeOf(name)-end)
		}
		v.add(finding{torn, name, end, what, "nothing: nobody was told that they are durable; the next start cuts them off and keeps them in @aside"})
	case overlay.Replaced, overlay.Written:
		if len(faults) == 0 {
			v.add(finding{torn, name, -1, "it holds commits that another segment holds too, or that do not count any more", "nothing: the next start writes the segment without them and keeps this one in @aside"})
		}
	case overlay.Removed:
		v.add(finding{note, name, -1, "all images and the checkpoint have what is in it", "nothing: the next start removes it"})
	}
	for _, f := range faults {
		if f.off >= end {
			continue // said above
		}
		f.level = damage
		if f.do = "the next start keeps what is intact, and the segment as it is in @aside; what is lost is said apart"; c.Kind == "" {
			f.do = "nothing is lost: all images contain the commits of this segment, and the next cut removes it"
		}
		v.add(f)
	}
}

// loss is what the next start would enter in the ledger.
func (v *verifier) loss(dir string, l walio.Loss) {
	what := fmt.Sprintf("%s: commits %d to %d, %s %d samples and %d series", l.Reason, l.FirstCommit, l.LastCommit, l.Bound, l.Samples, l.Series)
	if l.FirstCommit == 0 {
		what = l.Reason
	}
	if l.MinT != 0 || l.MaxT != 0 {
		what += fmt.Sprintf(", of %s to %s", formatTime(l.MinT), formatTime(l.MaxT))
	}
	v.add(finding{
		damage, filepath.Join(dir, l.File), -1, what,
		"LOST unless the file is restored from a copy before the next start, which enters it in ledger.jsonl and goes on without; replicas may have the samples",
	})
}

// checkpoint checks a checkpoint's segments, and that all names are there that the last one counts.
func (v *verifier) checkpoint(ctx context.Context, dir string, newest bool) error {
	if !newest {
		v.add(finding{note, dir, -1, "a newer checkpoint is there", "nothing: the next start removes it"})
		return nil
	}
	names, _, _, err := walio.SegmentNames(disk.OS, dir)
	if err != nil {
		return err
	}
	faults, err := v.segments(ctx, names)
	if err != nil {
		return err
	}
	const do = "nothing is lost while the images are intact; the next cut writes the checkpoint anew"
	for _, name := range names {
		for _, f := range faults[name] {
			f.level, f.do = damage, do
			v.add(f)
		}
	}
	said, found := uint64(0), uint64(0)
	for _, name := range names {
		err := walio.Inspect(disk.OS, name, func(i *walio.Item) error {
			if i.Segment != nil {
				said = i.Segment.Series
			}
			if i.Record != nil {
				found += uint64(i.Record.Entries)
			}
			return nil
		})
		if err != nil && !errors.Is(err, walio.ErrForeign) {
			return err
		}
	}
	if found < said || len(names) == 0 {
		v.add(finding{damage, dir, -1, fmt.Sprintf("%d of %d names of series are there", found, said), do})
	}
	return nil
}

package main

import (
	"bufio"
	stdbytes "bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/walio"
)

var inspectCommand = command{
	name: "inspect", args: "<data dir, tenant dir or file>",
	help: `print what stands in the files

Of a directory: the catalogue, and a line for each image, chunk file, log segment and loss. Of a file: all of it, item
by item, each with its byte offset. Nothing is repaired, and damage is printed where it stands. Files of a running
process can be looked at; they are a moving target.`,
	flags: func(fs *flag.FlagSet) func(context.Context, streams, []string) error {
		var in inspector
		fs.BoolVar(&in.entries, "entries", false, "print every series and sample in the records of a log segment, and of a chunk file every sample")
		return in.run
	},
}

// inspector prints files.
type inspector struct {
	entries bool
	w       io.Writer
}

func (in *inspector) run(_ context.Context, io streams, args []string) error {
	path, err := one(args)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(io.out)
	in.w = w
	return errors.Join(in.path(io, path), w.Flush())
}

func (in *inspector) path(io streams, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if err := movingTarget(io.err, path); err != nil {
			return err
		}
		return in.file(path)
	}
	t, err := look(path)
	if err != nil {
		return err
	}
	if err := movingTarget(io.err, filepath.Join(path, "x")); err != nil {
		return err
	}
	for _, d := range t.tenants {
		if err := in.tenant(d); err != nil {
			return err
		}
	}
	return nil
}

func (in *inspector) printf(format string, args ...any) { fmt.Fprintf(in.w, format, args...) }

// file prints all of a file.
func (in *inspector) file(path string) error {
	switch kind := engine.KindOf(path); kind {
	case engine.FileSegment:
		return in.segment(path)
	case engine.FileCatalogue:
		return in.catalogue(path)
	case engine.FileSlot:
		return in.slot(path)
	case engine.FileChunks:
		return in.chunkFile(path)
	case engine.FileLedger:
		return in.ledger(path)
	}
	return fmt.Errorf("%s: by its name it is none of our files", path)
}

// tenant prints what the files of a tenant are.
func (in *inspector) tenant(d tenantDir) error {
	in.printf("tenant %s in %s\n", d.id, d.path)
	if err := in.catalogue(ckpt.CataloguePath(d.path)); err != nil {
		in.printf("  %v\n", err)
	}
	for _, pattern := range []struct {
		glob string
		one  func(string) error
	}{
		{filepath.Join(d.path, "images", "*"), in.slotLine},
		{filepath.Join(engine.ChunksPath(d.path), "*"), in.chunkLine},
		{filepath.Join(engine.WALPath(d.path), "checkpoint.*", "*"), in.segmentLine},
		{filepath.Join(engine.WALPath(d.path), "*"), in.segmentLine},
	} {
		names, err := filepath.Glob(pattern.glob)
		if err != nil {
			return err
		}
		for _, name := range names {
			if info, err := os.Stat(name); err != nil || info.IsDir() {
				continue
			}
			in.printf("  %s, %s: ", short(d.path, name), bytes(sizeOf(name)))
			if err := pattern.one(name); err != nil {
				in.printf("%v\n", err)
			}
		}
	}
	if err := in.ledger(engine.LedgerPath(d.path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (in *inspector) catalogue(path string) error {
	copies, err := ckpt.ReadCatalogue(disk.OS, path)
	if err != nil {
		return err
	}
	newest := &copies[0]
	if c := &copies[1]; newest.Catalogue == nil || c.Catalogue != nil && c.Catalogue.Seq > newest.Catalogue.Seq {
		newest = c
	}
	for i := range copies {
		c := &copies[i]
		switch {
		case c.Err != nil:
			in.printf("catalogue, copy at byte %d: NOT INTACT: %v\n", c.Offset, c.Err)
		case c != newest:
			in.printf("catalogue, copy at byte %d: number %d, the older one\n", c.Offset, c.Catalogue.Seq)
		default:
			in.catalogueCopy(c)
		}
	}
	return nil
}

func (in *inspector) catalogueCopy(copied *ckpt.CatalogueCopy) {
	c := copied.Catalogue
	in.printf("catalogue, copy at byte %d: number %d, %v, created %s\n", copied.Offset, c.Seq, engine.LogIdentity(c.Identity), formatTime(c.Created))
	in.printf("  epoch %d from commit %d, synced through commit %d, next segment %d", c.Epoch, c.EpochStart, c.SyncedThrough, c.NextSegment)
	if c.Floor > -1<<62 {
		in.printf(", floor %s", formatTime(c.Floor))
	}
	in.printf("\n  the log may be cut up to commit %d\n", c.CutPoint())
	for i, entries := range c.Images {
		in.printf("  stripe %2d:", i)
		if len(entries) == 0 {
			in.printf(" no image")
		}
		for _, e := range entries {
			in.printf(" slot %v at commit %d", e.Slot, e.Commit)
			if e.Slot != ckpt.SlotNone {
				in.printf(" (header %016x)", e.Header)
			}
			if !e.Synced {
				in.printf(" not synced")
			}
		}
		in.printf("\n")
	}
}

func (in *inspector) slotLine(path string) error {
	i, err := ckpt.ReadSlot(disk.OS, path)
	if err != nil {
		return err
	}
	in.printf("image of stripe %d at commit %d, epoch %d, header %016x: %d series, %d extents, %d chunk files, %s to %s\n",
		i.Stripe, i.Commit, i.Epoch, i.Checksum, i.Series, i.Extents, len(i.Chunks), formatTime(i.MinTime), formatTime(i.MaxTime))
	return nil
}

func (in *inspector) slot(path string) error {
	if err := in.slotLine(path); err != nil {
		return err
	}
	i, err := ckpt.ReadSlot(disk.OS, path)
	if err != nil {
		return err
	}
	in.printf("  generation %d, %d stripes, hash %d, references %d, tenant's hash %016x, extent layout %d, greatest index %d, segment %d\n",
		i.Generation, i.Stripes, i.HashID, i.RefLayout, i.Tenant, i.Layout, i.MaxIndex, i.Segment)
	in.printf("  data at byte %d, table of hashes at byte %d, file of %d bytes\n", i.DataOffset, i.TableOffset, i.Size)
	for _, c := range i.Chunks {
		in.printf("  chunk file %s up to byte %d\n", engine.ChunkFileName(int(i.Stripe), uint32(c.ID)), c.Length)
	}
	return nil
}

func (in *inspector) chunkLine(path string) error {
	chunks, samples, faults := 0, 0, 0
	info, err := engine.InspectChunks(disk.OS, path, func(c *engine.ClosedChunk) error {
		chunks++
		samples += c.Samples()
		if c.Fault != "" {
			faults++
		}
		return nil
	})
	if err != nil {
		return err
	}
	in.chunkHead(info)
	in.printf("%d chunks, %d samples, up to byte %d", chunks, samples, info.End)
	if faults > 0 {
		in.printf(", %d FAULTS", faults)
	}
	in.printf("\n")
	return nil
}

func (in *inspector) chunkHead(i engine.ChunkFileInfo) {
	if i.Fault != "" {
		in.printf("FAULT: %s: ", i.Fault)
	}
	begins := time.UnixMilli(i.Range * 2 * time.Hour.Milliseconds()).UTC()
	in.printf("chunks of stripe %d, file %d, generation %d, range from %s: ", i.Stripe, i.ID, i.Generation, begins.Format(time.RFC3339))
}

func (in *inspector) chunkFile(path string) error {
	info, err := engine.InspectChunks(disk.OS, path, func(c *engine.ClosedChunk) error {
		if c.Fault != "" {
			in.printf("%10d  FAULT, %d bytes: %s\n", c.Off, c.End-c.Off, c.Fault)
			return nil
		}
		in.printf("%10d  series %d, %d samples, %d bytes, encoding %d, %s to %s", c.Off, c.Ref, c.Samples(), len(c.Data), c.Encoding, formatTime(c.MinT), formatTime(c.MaxT))
		if c.PrevFile != 0 {
			in.printf(", before it file %d at byte %d", c.PrevFile, c.PrevOff)
		}
		in.printf("\n")
		if !in.entries {
			return nil
		}
		s := engine.Series{Chunks: []engine.Chunk{{MinT: c.MinT, MaxT: c.MaxT, Enc: encodingOf(c), Data: c.Data}}}
		return eachSample(&s, func(t int64, v float64) error {
			in.printf("%12s%s %s\n", "", formatTime(t), appendValue(nil, v))
			return nil
		})
	})
	if err != nil {
		return err
	}
	in.chunkHead(info)
	in.printf("%d bytes, chunks up to byte %d\n", info.Size, info.End)
	return nil
}

func (in *inspector) ledger(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range stdbytes.Lines(b) {
		var l walio.Loss
		if err := json.Unmarshal(line, &l); err != nil {
			in.printf("ledger: not a line of JSON: %q\n", line)
			continue
		}
		in.printf("ledger: found %s in %s: %s; commits %d to %d, %s %d samples, %d series, %d others", l.Time.Format(time.RFC3339), l.File, l.Reason, l.FirstCommit, l.LastCommit, l.Bound, l.Samples, l.Series, l.Others)
		if l.MinT != 0 || l.MaxT != 0 {
			in.printf(", %s to %s", formatTime(l.MinT), formatTime(l.MaxT))
		}
		in.printf("\n")
	}
	return nil
}

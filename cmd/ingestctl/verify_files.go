package main

import (
	stdbytes "bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/walio"
)

// chunks checks the chunk files, byte by byte. What the images lead to in them was checked with the images.
func (v *verifier) chunks(ctx context.Context, d tenantDir, cat *ckpt.Catalogue) error {
	named, err := namedChunks(d.path, cat)
	if err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(engine.ChunksPath(d.path), "*"))
	if err != nil {
		return err
	}
	return each(ctx, names, func(name string) error { return v.chunkFile(name, named[filepath.Base(name)]) })
}

// namedChunks returns how far the images know each chunk file.
func namedChunks(dir string, cat *ckpt.Catalogue) (map[string]int64, error) {
	named := map[string]int64{}
	if cat == nil {
		return named, nil
	}
	for i, entries := range cat.Images {
		for _, e := range entries {
			if e.Slot == ckpt.SlotNone {
				continue
			}
			info, err := ckpt.ReadSlot(disk.OS, ckpt.SlotPath(dir, i, e.Slot))
			var bad *ckpt.CorruptError
			if errors.As(err, &bad) || errors.Is(err, fs.ErrNotExist) {
				continue // said where images are checked
			}
			if err != nil {
				return nil, err
			}
			for _, f := range info.Chunks {
				name := engine.ChunkFileName(i, uint32(f.ID))
				named[name] = max(named[name], f.Length)
			}
		}
	}
	return named, nil
}

// chunkFile checks a chunk file of which the images know the first named bytes.
func (v *verifier) chunkFile(name string, named int64) error {
	if strings.HasSuffix(name, disk.TempSuffix) || engine.KindOf(name) != engine.FileChunks {
		v.add(finding{note, name, -1, "not a file of ours, or an unfinished one", ""})
		return nil
	}
	info, err := engine.InspectChunks(disk.OS, name, func(c *engine.ClosedChunk) error {
		switch {
		case c.Fault == "":
		case c.Off < named:
			v.add(finding{
				damage, name, c.Off, fmt.Sprintf("%d bytes: %s", c.End-c.Off, c.Fault),
				"the series whose chunk it was fail in queries of that time; the samples are in the log if it still goes back that far, and on replicas",
			})
		default:
			v.add(finding{torn, name, c.Off, fmt.Sprintf("%d bytes: %s", c.End-c.Off, c.Fault), "nothing: no image knows this part of the file, the log has what is in it"})
		}
		return nil
	})
	if err != nil {
		return err
	}
	v.read("chunk files", info.Size)
	lv, do := damage, "nothing: each chunk says by itself what it is"
	if named == 0 {
		lv, do = torn, "nothing: no image knows this file, the log has what is in it"
	}
	if info.Fault != "" {
		v.add(finding{lv, name, 0, info.Fault, do})
	}
	if info.Size < named {
		v.add(finding{damage, name, info.Size, fmt.Sprintf("the file ends, an image knows %d bytes of it", named), "the chunks behind cannot be read; restore the file from a copy if there is one"})
	}
	return nil
}

// ledger checks that the ledger can be read, and says what is in it: losses that earlier starts have found.
func (v *verifier) ledger(name string) error {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	v.read("ledger", int64(len(b)))
	off, losses := 0, 0
	for line := range stdbytes.Lines(b) {
		var l walio.Loss
		switch err := json.Unmarshal(line, &l); {
		case err == nil:
			losses++
		case off+len(line) == len(b):
			v.add(finding{torn, name, int64(off), "the last line was not finished", "nothing: it is cut off when the next one is written"})
		default:
			v.add(finding{damage, name, int64(off), fmt.Sprintf("not a line of JSON: %v", err), "nothing depends on it; the other lines count"})
		}
		off += len(line)
	}
	if losses > 0 {
		v.add(finding{note, name, -1, fmt.Sprintf("%d losses that earlier starts have found and counted; ingestctl inspect prints them", losses), ""})
	}
	return nil
}

// file checks a single file, as far as that can be done without the others.
func (v *verifier) file(path string) error {
	dir := filepath.Dir(filepath.Dir(path))
	switch kind := engine.KindOf(path); kind {
	case engine.FileSegment:
		return v.lonelySegment(path)
	case engine.FileCatalogue:
		v.catalogue(filepath.Dir(path))
	case engine.FileSlot:
		stripe, slot, _ := ckpt.ParseSlotName(path)
		info, err := ckpt.ReadSlot(disk.OS, path)
		if err != nil {
			v.image(tenantDir{path: dir}, stripe, ckpt.Entry{Slot: slot}, engine.ImageContents{}, err, false)
			return nil
		}
		id, _, err := engine.TenantOf(disk.OS, dir)
		if err != nil {
			return err
		}
		identity := ckpt.Identity{Tenant: id, Generation: info.Generation, Stripes: info.Stripes, HashID: info.HashID, RefLayout: info.RefLayout}
		e := ckpt.Entry{Slot: slot, Commit: info.Commit, Header: info.Checksum, Synced: true}
		c, err := engine.InspectImage(disk.OS, dir, identity, stripe, e)
		v.read("image", info.Size)
		v.image(tenantDir{path: dir}, stripe, e, c, err, false)
	case engine.FileChunks:
		return v.chunkFile(path, sizeOf(path))
	case engine.FileLedger:
		return v.ledger(path)
	default:
		return fmt.Errorf("%s: by its name it is none of our files", path)
	}
	return nil
}

// lonelySegment checks a segment without the log around it: faults behind its last intact commit may be a torn end.
func (v *verifier) lonelySegment(path string) error {
	faults, intact, err := inspectFaults(path)
	if err != nil {
		return err
	}
	v.read("segment", sizeOf(path))
	for _, f := range faults {
		f.level, f.do = damage, "verify the tenant's folder: it says what this costs"
		if f.off >= intact {
			f.level, f.do = torn, "behind the last intact commit: a torn end if this is the log's newest segment, else damage; verify the tenant's folder to know"
		}
		v.add(f)
	}
	return nil
}

// inspectFaults returns the faults of a segment, and where its last intact commit ends.
func inspectFaults(path string) (faults []finding, intact int64, err error) {
	var clean bool
	err = walio.Inspect(disk.OS, path, func(i *walio.Item) error {
		if i.Fault != "" {
			faults = append(faults, finding{file: path, off: i.Off, what: i.Fault})
			clean = false
			return nil
		}
		switch {
		case i.Segment != nil:
			intact = i.End
		case i.Commit != nil && i.Commit.Copy && clean:
			intact = i.End
		case i.Commit != nil:
			clean = true
			if i.Commit.Records == 0 {
				intact = i.End
			}
		case i.Record != nil && clean && i.Record.Last:
			intact = i.End
		}
		return nil
	})
	return faults, intact, err
}

// movingTarget warns if a process holds the data directory in which a file lies.
func movingTarget(w io.Writer, path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	for dir := filepath.Dir(abs); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if !engine.IsDataDir(disk.OS, dir) {
			continue
		}
		who, err := engine.Holder(dir)
		if err == nil && who != "" {
			fmt.Fprintf(w, "This is a moving target: %s is held by %s.\n", dir, who)
		}
		return err
	}
	return nil
}

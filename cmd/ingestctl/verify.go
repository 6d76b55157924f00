package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/engine"
)

var verifyCommand = command{
	name: "verify", args: "<data dir, tenant dir or file>",
	help: `check every byte; exit code 0 clean, 1 a torn tail only, 2 damage

Every file is read from its first byte to its last: log segments and checkpoints record by record, both copies of the
catalogue, both images of each stripe with all that they lead to, closed chunks sample by sample, the ledger. Then the
log is replayed as the next start would, without being changed, to tell a torn tail (what a crash leaves at the end,
which the next start cuts off and nothing is lost with) from damage, and to say what damage costs.

Each finding is a line with the file, the byte, what is wrong, and below it what the next start does and what to do.
Exit code 3: it could not be checked. Needs little memory: that of the largest stripe, a processor.`,
	flags: func(*flag.FlagSet) func(context.Context, streams, []string) error { return verify },
}

func verify(ctx context.Context, io streams, args []string) error {
	path, err := one(args)
	if err != nil {
		return err
	}
	v := &verifier{findings: findings{w: io.out}, progress: newProgress(io.err)}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if err := movingTarget(io.err, path); err != nil {
			return err
		}
		v.total = info.Size()
		if err := v.file(path); err != nil {
			return err
		}
		return v.end(io)
	}
	t, err := look(path)
	if err != nil {
		return err
	}
	for _, d := range t.misnamed {
		v.add(finding{damage, d.path, -1, d.misnamed(), "move it out of the data directory; what is in it can be verified by naming the folder"})
	}
	t.misnamed = nil
	err = t.unheld(io, func() error {
		for _, d := range t.tenants {
			if err := v.measure(d.path); err != nil {
				return err
			}
		}
		for _, d := range t.tenants {
			if err := v.tenant(ctx, d); err != nil {
				return err
			}
		}
		return v.aside(t.data)
	})
	if err != nil {
		return err
	}
	return v.end(io)
}

// verifier is one run of verify.
type verifier struct {
	findings
	progress *progress

	files       atomic.Int64
	done, total int64 // bytes; done is atomic
}

// read notes that a file was read.
func (v *verifier) read(what string, size int64) {
	v.files.Add(1)
	done := atomic.AddInt64(&v.done, size)
	v.progress.say("%s: %s of %s", what, bytes(done), bytes(v.total))
}

func (v *verifier) measure(dir string) error {
	return filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			v.total += info.Size()
		}
		return err
	})
}

// end prints the sum and makes the exit code.
func (v *verifier) end(io streams) error {
	verdict := [...]string{note: "clean", torn: "a torn tail and nothing else", damage: "damaged"}[v.worst]
	fmt.Fprintf(io.out, "%s: %d files, %s, in %.1f s: %d damage, %d torn, %d notes\n", verdict, v.files.Load(), bytes(v.done),
		time.Since(v.progress.began).Seconds(), v.count[damage], v.count[torn], v.count[note])
	if v.worst > note {
		return exitCode(v.worst)
	}
	return nil
}

// tenant checks the folder of a tenant.
func (v *verifier) tenant(ctx context.Context, d tenantDir) error {
	v.catalogue(d.path)
	o, err := mount([]tenantDir{d})
	if err != nil {
		return err
	}
	at := filepath.Join(snapshotDir, d.id)
	var cat *ckpt.Catalogue
	store, err := ckpt.Open(ckpt.Config{FS: o, Dir: at, Logger: quiet}, d.id)
	if err == nil {
		// Of the images, if the file is lost.
		c := store.Catalogue()
		cat = &c
		err = store.Close()
	}
	if err != nil {
		v.add(finding{
			damage, d.path, -1, fmt.Sprintf("no start is possible: %v", err),
			"the log names the series: move catalogue and images away and recover from the log, or restore them from a copy",
		})
	}
	var from []uint64
	if cat != nil {
		if from, err = v.images(ctx, d, cat); err != nil {
			return err
		}
	}
	if err := v.chunks(ctx, d, cat); err != nil {
		return err
	}
	if err := v.log(ctx, d, o, cat, from); err != nil {
		return err
	}
	return v.ledger(engine.LedgerPath(d.path))
}

// each runs do for all of a list, several at a time.
func each[T any](ctx context.Context, list []T, do func(T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, x := range list {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(x)
		})
	}
	return g.Wait()
}

// catalogue checks both copies.
func (v *verifier) catalogue(dir string) {
	name := ckpt.CataloguePath(dir)
	copies, err := ckpt.ReadCatalogue(disk.OS, name)
	if err != nil {
		v.add(finding{damage, name, -1, err.Error(), "the next start makes a new one of the images; nothing is lost by it"})
		return
	}
	v.read("catalogue", sizeOf(name))
	intact := 0
	for _, c := range copies {
		if c.Err == nil {
			intact++
		}
	}
	for _, c := range copies {
		switch {
		case c.Err != nil && intact == 1:
			v.add(finding{torn, name, c.Offset, fmt.Sprintf("this copy is not intact: %v", c.Err), "nothing: the other copy is used, and this one is written again"})
		case c.Err != nil:
			v.add(finding{damage, name, c.Offset, c.Err.Error(), "the next start makes a new catalogue of the images and keeps this one as catalogue.damaged"})
		}
	}
}

// images checks both images of every stripe, and returns the commits that a start would find.
func (v *verifier) images(ctx context.Context, d tenantDir, cat *ckpt.Catalogue) ([]uint64, error) {
	from := make([]uint64, cat.Stripes)
	var list []int
	for i := range cat.Images {
		list = append(list, i)
	}
	return from, each(ctx, list, func(i int) error {
		found := false
		for k, e := range cat.Images[i] {
			c, err := engine.InspectImage(disk.OS, d.path, cat.Identity, i, e)
			if e.Slot != ckpt.SlotNone {
				v.read("images", sizeOf(ckpt.SlotPath(d.path, i, e.Slot)))
			}
			v.image(d, i, e, c, err, k == len(cat.Images[i])-1 && !found)
			if err == nil && !found {
				from[i], found = e.Commit, true
			}
		}
		return nil
	})
}

// image says what is wrong with one image; last is that no other one is left.
func (v *verifier) image(d tenantDir, stripe int, e ckpt.Entry, c engine.ImageContents, err error, last bool) {
	name := ckpt.SlotPath(d.path, stripe, e.Slot)
	do := "the next start uses the stripe's other image and more of the log; the next image is written over this one"
	if last {
		do = "no other image of this stripe is left: the next start replays the log for it, as far back as it goes; if that is not enough, it is said apart, and only a copy of this file helps"
	}
	var bad *ckpt.CorruptError
	off := int64(-1)
	if errors.As(err, &bad) {
		off = bad.Offset
	}
	switch {
	case err == nil:
	case errors.Is(err, ckpt.ErrUnfinished):
		v.add(finding{torn, name, off, fmt.Sprintf("image of commit %d was being written: %v", e.Commit, err), do})
	default:
		v.add(finding{damage, name, off, fmt.Sprintf("image of commit %d: %v", e.Commit, err), do})
	}
	for _, err := range c.Unreadable {
		v.add(finding{
			damage, name, -1, fmt.Sprintf("the image of commit %d leads to a chunk that cannot be read: %v", e.Commit, err),
			"queries that need the chunk fail; the process starts. The samples are in the log if it still goes back that far, and on replicas",
		})
	}
	if more := c.Faults - len(c.Unreadable); more > 0 {
		v.add(finding{damage, name, -1, fmt.Sprintf("and %d chunks more", more), ""})
	}
}

// aside says what earlier starts kept.
func (v *verifier) aside(data string) error {
	if data == "" {
		return nil
	}
	dir := filepath.Join(data, "@aside")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(entries) > 0 {
		v.add(finding{note, dir, -1, fmt.Sprintf("%d things that earlier starts set aside; not checked", len(entries)), ""})
	}
	return err
}

func sizeOf(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

// short is a file's path below the tenant's folder.
func short(dir, name string) string { return strings.TrimPrefix(strings.TrimPrefix(name, dir), "/") }

package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/walio"
)

var cutCommand = command{
	name: "cut", args: "-dry-run <data dir or tenant dir>",
	help: `what a cut of the log would remove, and why

A running ingester cuts its log when images are published: a segment is removed when both images of every stripe
contain all its commits, and the checkpoint that names the series is durable. This prints for each segment what the next
cut would do with it as the catalogue stands, and which stripes hold the log back. It never cuts: -dry-run is required,
so that nobody calls it in the hope for room on the disk.`,
	flags: func(fs *flag.FlagSet) func(context.Context, streams, []string) error {
		dry := fs.Bool("dry-run", false, "required: only say what would be done")
		return func(_ context.Context, io streams, args []string) error {
			path, err := one(args)
			if err != nil {
				return err
			}
			if !*dry {
				return fmt.Errorf("%w: only a running ingester cuts its log, after it has written the names that would be lost; -dry-run says what it would remove", errArguments)
			}
			t, err := look(path)
			if err != nil {
				return err
			}
			return t.unheld(io, func() error {
				for _, d := range t.tenants {
					if err := cutTenant(io, d); err != nil {
						return err
					}
				}
				return nil
			})
		}
	},
}

// logSegment is a segment and what decides whether it is needed.
type logSegment struct {
	path  string
	size  int64
	first uint64 // 0 without a commit
	last  uint64 // of this segment or those before it
}

func cutTenant(io streams, d tenantDir) error {
	copies, err := ckpt.ReadCatalogue(disk.OS, ckpt.CataloguePath(d.path))
	if err != nil {
		return err
	}
	cat := copies[0].Catalogue
	if c := copies[1].Catalogue; cat == nil || c != nil && c.Seq > cat.Seq {
		cat = c
	}
	if cat == nil {
		return fmt.Errorf("tenant %s: the catalogue is not intact: %w; ingestctl verify says what a start makes of it", d.id, copies[0].Err)
	}
	list, err := logSegments(d.path)
	if err != nil {
		return err
	}
	cut := cat.CutPoint()
	fmt.Fprintf(io.out, "tenant %s: the log may be cut up to commit %d, it is synced through %d\n", d.id, cut, cat.SyncedThrough)
	held := holders(cat)
	freed, kept := int64(0), int64(0)
	for i, s := range list {
		verdict := fmt.Sprintf("REMOVE: all images contain its commits up to %d", s.last)
		switch {
		case i == len(list)-1:
			verdict = "keep: the newest segment is never removed"
		case s.last > cut:
			verdict = fmt.Sprintf("keep: commit %d and before are needed by %s", s.last, neededBy(held, s.last))
		case kept > 0:
			verdict = "keep: a segment before it is kept"
		}
		if strings.HasPrefix(verdict, "keep") {
			kept += s.size
		} else {
			freed += s.size
		}
		commits := fmt.Sprintf("commits %d to %d", s.first, s.last)
		if s.first == 0 {
			commits = "no commits"
		}
		fmt.Fprintf(io.out, "  %s  %10s  %-28s %s\n", short(d.path, s.path), bytes(s.size), commits, verdict)
	}
	fmt.Fprintf(io.out, "  a cut would free %s and keep %s\n", bytes(freed), bytes(kept))
	return nil
}

func logSegments(dir string) ([]logSegment, error) {
	names, _, _, err := walio.SegmentNames(disk.OS, engine.WALPath(dir))
	if err != nil {
		return nil, err
	}
	var list []logSegment
	last := uint64(0)
	for _, name := range names {
		s := logSegment{path: name, size: sizeOf(name)}
		err := walio.Inspect(disk.OS, name, func(i *walio.Item) error {
			if i.Commit != nil {
				last = max(last, i.Commit.Commit)
				s.first = cmp.Or(s.first, i.Commit.Commit)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		s.last = last
		list = append(list, s)
	}
	return list, nil
}

// holder is a stripe and the commit up to which it lets the log go.
type holder struct {
	stripe int
	commit uint64
	why    string
}

// holders orders the stripes by how far they hold the log back.
func holders(cat *ckpt.Catalogue) []holder {
	var out []holder
	for i, entries := range cat.Images {
		h := holder{stripe: i}
		switch {
		case len(entries) == 0:
			h.why = "has no image"
		case len(entries) == 1 && entries[0].Slot != ckpt.SlotNone:
			h.why = fmt.Sprintf("has one image only, of commit %d", entries[0].Commit)
		default:
			h.commit = entries[len(entries)-1].Commit
			h.why = fmt.Sprintf("has its older image at commit %d", h.commit)
		}
		out = append(out, h)
	}
	slices.SortStableFunc(out, func(a, b holder) int { return cmp.Compare(a.commit, b.commit) })
	return out
}

// neededBy names the stripes that need a commit: the first, and how many there are.
func neededBy(list []holder, commit uint64) string {
	n := 0
	for _, h := range list {
		if h.commit < commit {
			n++
		}
	}
	text := fmt.Sprintf("stripe %d, which %s", list[0].stripe, list[0].why)
	if n > 1 {
		text += fmt.Sprintf(", and %d other stripes", n-1)
	}
	return text
}

package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/rekindledb/rekindle/engine"
)

var statCommand = command{
	name: "stat", args: "<data dir or tenant dir>",
	help: `count series, samples and bytes

As a start would see them: images, closed chunks and the log behind them, of each tenant. Bytes are those of the files,
some of which are allocated ahead of need. Needs the memory that the ingester itself would need.`,
	flags: func(*flag.FlagSet) func(context.Context, streams, []string) error { return stat },
}

// tenantStat is what stat says of a tenant.
type tenantStat struct {
	series, samples, chunks int64
	minT, maxT              int64
	files                   map[string]int64 // bytes by kind
}

func stat(ctx context.Context, io streams, args []string) error {
	path, err := one(args)
	if err != nil {
		return err
	}
	t, err := look(path)
	if err != nil {
		return err
	}
	return t.unheld(io, func() error {
		return withSnapshot(ctx, io, t.tenants, func(e *engine.Engine) error {
			w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "tenant\tseries\tsamples\tchunks\toldest\tnewest\tlog\timages\tclosed chunks\tother\ttotal")
			sum := tenantStat{minT: math.MaxInt64, maxT: math.MinInt64, files: map[string]int64{}}
			for _, d := range t.tenants {
				one, err := statTenant(ctx, e.Tenant(d.id), d.path)
				if err != nil {
					return err
				}
				one.print(w, d.id)
				sum.add(one)
			}
			if len(t.tenants) != 1 {
				sum.print(w, fmt.Sprintf("(all %d)", len(t.tenants)))
			}
			return w.Flush()
		})
	})
}

func statTenant(ctx context.Context, t *engine.Tenant, dir string) (tenantStat, error) {
	s := tenantStat{minT: math.MaxInt64, maxT: math.MinInt64, files: map[string]int64{}}
	err := eachSeries(ctx, t, math.MinInt64, math.MaxInt64, nil, func(x *engine.Series) error {
		s.series++
		for _, c := range x.Chunks {
			s.chunks++
			s.samples += int64(binary.BigEndian.Uint16(c.Data)) // every encoding begins with it
			s.minT, s.maxT = min(s.minT, c.MinT), max(s.maxT, c.MaxT)
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	return s, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		inner, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		kind, _, found := strings.Cut(filepath.ToSlash(inner), "/")
		if !found {
			kind = "other"
		}
		s.files[kind] += info.Size()
		return nil
	})
}

func (s *tenantStat) add(o tenantStat) {
	s.series, s.samples, s.chunks = s.series+o.series, s.samples+o.samples, s.chunks+o.chunks
	s.minT, s.maxT = min(s.minT, o.minT), max(s.maxT, o.maxT)
	for k, n := range o.files {
		s.files[k] += n
	}
}

func (s *tenantStat) print(w *tabwriter.Writer, name string) {
	oldest, newest := "-", "-"
	if s.minT <= s.maxT {
		oldest, newest = formatTime(s.minT), formatTime(s.maxT)
	}
	total, other := int64(0), int64(0)
	for kind, n := range s.files {
		total += n
		switch kind {
		case "wal", "images", "chunks":
		default:
			other += n
		}
	}
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, s.series, s.samples, s.chunks, oldest, newest,
		bytes(s.files["wal"]), bytes(s.files["images"]), bytes(s.files["chunks"]), bytes(other), bytes(total))
}

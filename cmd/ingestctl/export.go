package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/engine"
)

var exportCommand = command{
	name: "export", args: "<data dir or tenant dir> <target dir>",
	help: `write a directory that Prometheus, Cortex and Mimir open

All samples as a start would see them, from images, closed chunks and log, go to <target>/wal: a write-ahead log that
any Prometheus from 2.0 on replays, and Cortex and Mimir as a tenant's folder. Of a data directory with several tenants
each gets a folder in the target, which is the layout of Cortex's and Mimir's TSDB directory. The target must not
exist; it appears when it is complete. Needs the memory that the ingester itself would need.

A log, not blocks, because the data is recent: the head takes it as its own, goes on behind it, and cuts blocks in its
own time. A block that reaches into the present would make the head refuse samples that are older than its end.`,
	flags: func(*flag.FlagSet) func(context.Context, streams, []string) error { return export },
}

func export(ctx context.Context, io streams, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%w: a source and a target are needed, %d arguments are given", errArguments, len(args))
	}
	t, err := look(args[0])
	if err != nil {
		return err
	}
	final, err := filepath.Abs(args[1])
	if err != nil {
		return err
	}
	if _, err := os.Lstat(final); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s is there already; name a directory that is not, in one that is", final), err)
	}
	tmp := final + ".export.tmp" // of an interrupted export, perhaps
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	err = t.unheld(io, func() error {
		return withSnapshot(ctx, io, t.tenants, func(e *engine.Engine) error {
			for _, d := range t.tenants {
				to, shown := tmp, final
				if !t.single {
					to, shown = filepath.Join(tmp, d.id), filepath.Join(final, d.id)
				}
				x, err := exportTenant(ctx, io, e.Tenant(d.id), to)
				if err != nil {
					return fmt.Errorf("tenant %s: %w", d.id, err)
				}
				fmt.Fprintf(io.out, "tenant %s: %d series, %d samples to %s\n", d.id, x.series, x.samples, shown)
			}
			return nil
		})
	})
	if err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, final); err != nil {
		return err
	}
	return disk.OS.SyncDir(filepath.Dir(final))
}

// exporter writes a log as Prometheus has it, in the order in which it gets series: first their names, then their
// samples, some at a time.
type exporter struct {
	log     *wlog.WL
	enc     record.Encoder
	names   []record.RefSeries
	pending []record.RefSample
	buf     []byte

	series, samples uint64
}

const (
	exportSeries  = 1000 // to a record
	exportSamples = 4000
)

func exportTenant(ctx context.Context, io streams, t *engine.Tenant, dir string) (*exporter, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	wal := filepath.Join(dir, "wal")
	log, err := wlog.New(slog.New(slog.DiscardHandler), nil, wal, compression.Snappy)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", wal, err)
	}
	x := &exporter{log: log}
	p := newProgress(io.err)
	err = eachSeries(ctx, t, math.MinInt64, math.MaxInt64, nil, func(s *engine.Series) error {
		p.say("%d series, %d samples written", x.series, x.samples)
		return x.add(s)
	})
	if err == nil {
		err = x.flush()
	}
	if err = errors.Join(err, log.Close()); err != nil {
		return nil, err
	}
	return x, syncTree(dir)
}

func (x *exporter) add(s *engine.Series) error {
	x.series++
	ref := chunks.HeadSeriesRef(x.series)
	x.names = append(x.names, record.RefSeries{Ref: ref, Labels: s.Labels})
	err := eachSample(s, func(t int64, v float64) error {
		x.samples++
		if x.pending = append(x.pending, record.RefSample{Ref: ref, T: t, V: v}); len(x.pending) >= exportSamples {
			return x.flush()
		}
		return nil
	})
	if err == nil && len(x.names) >= exportSeries {
		err = x.flush()
	}
	return err
}

// flush writes what is pending: names before samples that need them.
func (x *exporter) flush() error {
	if len(x.names) > 0 {
		x.buf = x.enc.Series(x.names, x.buf[:0])
		x.names = x.names[:0]
		if err := x.log.Log(x.buf); err != nil {
			return err
		}
	}
	if len(x.pending) > 0 {
		x.buf = x.enc.Samples(x.pending, x.buf[:0])
		x.pending = x.pending[:0]
		return x.log.Log(x.buf)
	}
	return nil
}

// syncTree makes everything in a directory durable: the log's writer does not tell of every sync that fails.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return disk.OS.SyncDir(path)
		}
		f, err := disk.OS.OpenRW(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/rekindledb/rekindle/engine"
)

var dumpCommand = command{
	name: "dump", args: "<data dir or tenant dir>",
	help: `all samples as OpenMetrics text

As a start would see them, sorted by metric, series and time; promtool tsdb create-blocks-from openmetrics reads it. Of
a data directory with several tenants one is named by -tenant. Staleness markers become plain NaN, for which
OpenMetrics has no other word; how many is said on standard error. Needs the memory that the ingester itself would
need.`,
	flags: func(fs *flag.FlagSet) func(context.Context, streams, []string) error {
		var d dumper
		fs.StringVar(&d.match, "match", "", "series to print, as a selector: 'up{job=\"x\"}'. Default: all.")
		fs.Var(&d.window.from, "from", "oldest `time` to print: RFC 3339, or seconds since the epoch")
		fs.Var(&d.window.to, "to", "newest `time` to print, inclusive")
		fs.StringVar(&d.tenant, "tenant", "", "the tenant, if the path holds several")
		return d.run
	},
}

type dumper struct {
	match  string
	window window
	tenant string

	stale int64
}

func (d *dumper) run(ctx context.Context, io streams, args []string) error {
	path, err := one(args)
	if err != nil {
		return err
	}
	var ms []*labels.Matcher
	if d.match != "" {
		if ms, err = parser.NewParser(parser.Options{}).ParseMetricSelector(d.match); err != nil {
			return fmt.Errorf("%w: -match: %w", errArguments, err)
		}
	}
	t, err := look(path)
	if err != nil {
		return err
	}
	tenant, err := t.choose(d.tenant)
	if err != nil {
		return err
	}
	return t.unheld(io, func() error {
		return withSnapshot(ctx, io, []tenantDir{tenant}, func(e *engine.Engine) error {
			w := bufio.NewWriterSize(io.out, 1<<20)
			err := eachSeries(ctx, e.Tenant(tenant.id), d.window.mint(), d.window.maxt(), ms, func(s *engine.Series) error {
				return d.series(w, s)
			})
			if err == nil {
				_, err = w.WriteString("# EOF\n")
			}
			if d.stale > 0 {
				fmt.Fprintf(io.err, "%d staleness markers were printed as NaN\n", d.stale)
			}
			return errors.Join(err, w.Flush())
		})
	})
}

// choose returns the tenant that is named, or the only one.
func (t *target) choose(id string) (tenantDir, error) {
	var ids []string
	for _, d := range t.tenants {
		if d.id == id || id == "" && len(t.tenants) == 1 {
			return d, nil
		}
		ids = append(ids, d.id)
	}
	if id == "" {
		return tenantDir{}, fmt.Errorf("%w: %s holds %d tenants, name one with -tenant: %s", errArguments, t.path, len(ids), strings.Join(ids, " "))
	}
	return tenantDir{}, fmt.Errorf("%s holds no tenant %q, but: %s", t.path, id, strings.Join(ids, " "))
}

// series prints the samples of a series that are in the window.
func (d *dumper) series(w *bufio.Writer, s *engine.Series) error {
	mint, maxt := d.window.mint(), d.window.maxt()
	head := seriesText(s.Labels)
	var line []byte
	return eachSample(s, func(t int64, v float64) error {
		if t < mint || t > maxt {
			return nil
		}
		if value.IsStaleNaN(v) {
			d.stale++
		}
		line = append(append(line[:0], head...), ' ')
		line = append(appendValue(line, v), ' ')
		line = append(appendSeconds(line, t), '\n')
		_, err := w.Write(line)
		return err
	})
}

// eachSample decodes a series.
func eachSample(s *engine.Series, yield func(t int64, v float64) error) error {
	var it chunkenc.Iterator
	for _, c := range s.Chunks {
		x, err := chunkenc.FromData(c.Enc, c.Data)
		if err != nil {
			return fmt.Errorf("series %s: %w", s.Labels, err)
		}
		it = x.Iterator(it)
		for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
			if vt != chunkenc.ValFloat {
				return fmt.Errorf("series %s: a sample of type %s, which this command cannot write", s.Labels, vt)
			}
			if err := yield(it.At()); err != nil {
				return err
			}
		}
		if err := it.Err(); err != nil {
			return fmt.Errorf("series %s: %w", s.Labels, err)
		}
	}
	return nil
}

// seriesText is a series in OpenMetrics: the name before the braces if it is one of the old kind, else quoted in them.
func seriesText(l labels.Labels) string {
	var b strings.Builder
	name := l.Get(model.MetricNameLabel)
	var in []string
	if name != "" && !model.LegacyValidation.IsValidMetricName(name) {
		in = append(in, quote(name))
	} else {
		b.WriteString(name)
	}
	l.Range(func(l labels.Label) {
		switch {
		case l.Name == model.MetricNameLabel:
			return
		case model.LegacyValidation.IsValidLabelName(l.Name):
			in = append(in, l.Name+"="+quote(l.Value))
		default:
			in = append(in, quote(l.Name)+"="+quote(l.Value))
		}
	})
	if len(in) > 0 {
		b.WriteString("{" + strings.Join(in, ",") + "}")
	}
	return b.String()
}

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func quote(s string) string { return `"` + escaper.Replace(s) + `"` }

func appendValue(b []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(b, "+Inf"...)
	case math.IsNaN(v):
		return append(b, "NaN"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// appendSeconds appends a time in seconds, exactly.
func appendSeconds(b []byte, ms int64) []byte {
	if ms < 0 {
		if b = append(b, '-'); ms == math.MinInt64 {
			return append(b, "9223372036854775.808"...)
		}
		ms = -ms
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	if ms %= 1000; ms == 0 {
		return b
	}
	return append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}

package takein

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/tombstones"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/walio"
)

// takeover is one tenant on its way from a source.
type takeover struct {
	src      *source
	report   *Report
	progress func(what string, done, total int64)
	done     int64 // bytes of both passes

	reg     *registry
	deleted map[uint32]tombstones.Intervals // by series
	gone    map[uint64]bool                 // references whose series was moved to a block as a whole
	late    map[uint32]*lateSamples         // by series
	lateN   uint64

	err     error             // of the engine: nothing goes on behind it
	renamed map[string]string // of a log of several tenants

	dec     record.Decoder
	samples []record.RefSample
	hists   []record.RefHistogramSample
	fhists  []record.RefFloatHistogramSample
}

// sample is a float sample.
type sample struct {
	t int64
	v uint64
}

// lateSamples are the out-of-order samples of a series, ascending.
type lateSamples struct {
	samples []sample
	next    int // the first that is not merged yet
}

func (l *lateSamples) has(t int64) bool {
	if l == nil {
		return false
	}
	_, ok := slices.BinarySearchFunc(l.samples, t, func(s sample, t int64) int { return cmp.Compare(s.t, t) })
	return ok
}

func newTakeover(src *source, r *Report, progress func(string, int64, int64)) *takeover {
	return &takeover{
		src: src, report: r, progress: progress, reg: newRegistry(),
		deleted: map[uint32]tombstones.Intervals{}, gone: map[uint64]bool{}, late: map[uint32]*lateSamples{},
		dec: record.NewDecoder(labels.NewSymbolTable(), slog.New(slog.DiscardHandler)),
	}
}

// fault is a place in a segment that could not be read.
type fault struct {
	name     string
	off, end int64
	what     string
	decoded  bool // its checksum is right, its contents are not
}

// each calls do for every record of some segments, in order, and returns the places that could not be read, by
// checksum or because do says so. tail is a fault at the very end of the newest segment, where nothing follows.
func (t *takeover) each(ctx context.Context, what string, names []string, do func(rec []byte) error) (faults []fault, tail *fault, err error) {
	for _, name := range names {
		last := int64(0) // end of the last good record
		from := len(faults)
		read := int64(0)
		err := walio.ReadForeign(disk.OS, name, func(r *walio.ForeignRecord) error {
			t.done += r.End - read
			read = r.End
			t.progress(what, t.done, 2*t.src.size)
			f := fault{name: name, off: r.Off, end: r.End, what: r.Fault}
			if f.what == "" {
				if err := do(r.Data); err != nil {
					f.what, f.decoded = err.Error(), true
				}
			}
			if f.what != "" {
				faults = append(faults, f)
			} else {
				last = r.End
			}
			return errors.Join(ctx.Err(), t.err)
		})
		if err != nil {
			return nil, nil, fmt.Errorf("takein: %w", err)
		}
		isDecoded := func(f fault) bool { return f.decoded }
		if n := len(faults); t.src.newest[name] && n > from && faults[from].off >= last && !slices.ContainsFunc(faults[from:], isDecoded) {
			tail = &fault{name: name, off: faults[from].off, end: faults[n-1].end}
			faults = faults[:from]
		}
	}
	return faults, tail, nil
}

// note puts what could not be read into the report.
func (t *takeover) note(faults []fault, tail *fault) {
	rel := func(name string) string {
		if r, err := filepath.Rel(t.src.dir, name); err == nil {
			return r
		}
		return name
	}
	for _, f := range faults {
		t.report.Lost = append(t.report.Lost, fmt.Sprintf("%s from byte %d to %d: %s", rel(f.name), f.off, f.end, f.what))
	}
	if tail != nil {
		t.report.Notes = append(t.report.Notes, fmt.Sprintf("%s ends with an unfinished record of %d bytes, as a crash leaves it", rel(tail.name), tail.end-tail.off))
	}
}

// survey is the first pass.
func (t *takeover) survey(ctx context.Context) error {
	faults, tail, err := t.each(ctx, "survey", t.src.wal, t.surveyLog)
	if err != nil {
		return err
	}
	t.note(faults, tail)
	if faults, tail, err = t.each(ctx, "survey", t.src.wbl, t.surveyLate); err != nil {
		return err
	}
	t.note(faults, tail)
	for _, l := range t.late {
		n := len(l.samples)
		slices.SortStableFunc(l.samples, func(a, b sample) int { return cmp.Compare(a.t, b.t) })
		l.samples = slices.CompactFunc(l.samples, func(a, b sample) bool { return a.t == b.t }) // the first stays, as in Prometheus
		count(&t.report.Dropped, droppedDuplicate, uint64(n-len(l.samples)))
	}
	t.report.Bytes = t.src.size
	t.report.Notes = append(t.report.Notes, t.src.notes...)
	return nil
}

// surveyLog learns from a record of the log what must be known before its samples are taken.
func (t *takeover) surveyLog(rec []byte) error {
	switch typ := t.dec.Type(rec); typ {
	case record.Series:
		list, err := t.dec.Series(rec, nil)
		if err != nil {
			return err
		}
		for _, s := range list {
			t.reg.add(uint64(s.Ref), s.Labels)
		}
	case record.Tombstones:
		list, err := t.dec.Tombstones(rec, nil)
		if err != nil {
			return err
		}
		for _, s := range list {
			t.tombstone(s)
		}
	case record.Exemplars:
		list, err := t.dec.Exemplars(rec, nil)
		if err != nil {
			return err
		}
		count(&t.report.NotStored, kindExemplar, uint64(len(list)))
	case record.Metadata:
		list, err := t.dec.Metadata(rec, nil)
		if err != nil {
			return err
		}
		count(&t.report.NotStored, kindMetadata, uint64(len(list)))
	case record.Unknown, record.MmapMarkers: // the latter belong to wbl
		if len(rec) == 0 {
			return fmt.Errorf("empty record")
		}
		count(&t.report.NotStored, kindUnknown(rec[0]), 1)
	}
	return nil
}

// tombstone notes what was deleted. One over all of time is not a deletion: the series, which had become stale, was
// moved to a block.
func (t *takeover) tombstone(s tombstones.Stone) {
	for _, iv := range s.Intervals {
		if iv.Mint == math.MinInt64 && iv.Maxt == math.MaxInt64 {
			t.gone[uint64(s.Ref)] = true
			continue
		}
		if i, ok := t.reg.find(uint64(s.Ref)); ok {
			t.deleted[i] = t.deleted[i].Add(iv)
		}
	}
}

// surveyLate keeps the samples of a record of wbl.
func (t *takeover) surveyLate(rec []byte) (err error) {
	switch typ := t.dec.Type(rec); typ {
	case record.Samples, record.SamplesV2:
		if t.samples, err = t.dec.Samples(rec, t.samples[:0]); err != nil {
			return err
		}
		for _, s := range t.samples {
			i, ok := t.reg.find(uint64(s.Ref))
			switch {
			case !ok:
				count(&t.report.Dropped, droppedNoSeries, 1)
			case len(t.reg.series[i].key) == 0:
				count(&t.report.Dropped, droppedBadLabels, 1)
			default:
				t.start(s.ST)
				l := t.late[i]
				if l == nil {
					l = &lateSamples{}
					t.late[i] = l
				}
				l.samples = append(l.samples, sample{s.T, math.Float64bits(s.V)})
			}
		}
	case record.MmapMarkers: // where in chunks_head copies are
	case record.Unknown:
		if len(rec) == 0 {
			return fmt.Errorf("empty record")
		}
		count(&t.report.NotStored, kindUnknown(rec[0]), 1)
	default:
		return t.histograms(rec, nil)
	}
	return nil
}

// start counts start timestamps.
func (t *takeover) start(st int64) {
	if st != 0 {
		count(&t.report.NotStored, kindStart, 1)
	}
}

// histograms counts the samples of a record of native histograms; visit, if not nil, gets each one's reference and time.
func (t *takeover) histograms(rec []byte, visit func(ref uint64, ts int64)) (err error) {
	switch typ := t.dec.Type(rec); typ {
	case record.HistogramSamples, record.CustomBucketsHistogramSamples, record.HistogramSamplesV2:
		if t.hists, err = t.dec.HistogramSamples(rec, t.hists[:0]); err != nil {
			return err
		}
		count(&t.report.NotStored, kindHistogram, uint64(len(t.hists)))
		for _, h := range t.hists {
			if visit != nil {
				visit(uint64(h.Ref), h.T)
			}
		}
	case record.FloatHistogramSamples, record.CustomBucketsFloatHistogramSamples, record.FloatHistogramSamplesV2:
		if t.fhists, err = t.dec.FloatHistogramSamples(rec, t.fhists[:0]); err != nil {
			return err
		}
		count(&t.report.NotStored, kindFloatHistogram, uint64(len(t.fhists)))
		for _, h := range t.fhists {
			if visit != nil {
				visit(uint64(h.Ref), h.T)
			}
		}
	}
	return nil
}

package takein

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/tsdb/record"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/walio"
)

// chunkLog is the log of a chunk-storage ingester on its way to tenants of ours.
type chunkLog struct {
	*takeover // reads; its report gets what concerns all tenants
	tenants   map[string]*feeder
}

// smallBatch is how many samples of one tenant are taken in together: there may be thousands of tenants.
const smallBatch = 1 << 11

// chunkStorage takes over all tenants of a chunk-storage ingester's log, together: a tenant's samples are spread over all
// of it.
func (o *Options) chunkStorage(ctx context.Context, dir string) ([]*Report, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	l, err := o.surveyChunks(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := l.rename(o.Tenant); err != nil {
		return nil, err
	}
	reports, todo, err := o.pending(l, dir)
	if err != nil || len(todo) == 0 {
		return reports, err
	}
	if err := o.accept(l.report); err != nil {
		return nil, err
	}
	tmp := engine.ImportDir(o.Engine.Dir)
	if err := o.Engine.FS.RemoveAll(tmp); err != nil {
		return nil, err
	}
	err = o.fill(ctx, l.takeover, tmp, func(e *engine.Engine) error { return l.feed(ctx, e, todo) })
	for _, r := range todo {
		if err == nil {
			r.Notes, r.Lost, r.Bytes = append(r.Notes, l.report.Notes...), l.report.Lost, l.report.Bytes
			err = o.publish(r, filepath.Join(tmp, r.Tenant), filepath.Join(o.Engine.Dir, r.Tenant))
		}
	}
	return reports, errors.Join(err, o.Engine.FS.RemoveAll(tmp))
}

// pending makes the tenants' reports, and returns those of the tenants that are not there yet.
func (o *Options) pending(l *chunkLog, dir string) (reports, todo []*Report, err error) {
	for _, tenant := range slices.Sorted(maps.Keys(l.tenants)) {
		if err := engine.ValidTenant(tenant); err != nil {
			return nil, nil, err
		}
		before, err := o.before(Named{dir, tenant})
		if err != nil {
			return nil, nil, fmt.Errorf("tenant %s: %w", tenant, err)
		}
		if before != nil {
			reports = append(reports, before)
			continue
		}
		r := l.tenants[tenant].report
		r.Tenant, r.Source, r.Time = tenant, dir, time.Now().UTC()
		reports, todo = append(reports, r), append(todo, r)
	}
	return reports, todo, nil
}

// rename gives the only tenant another id.
func (l *chunkLog) rename(tenant string) error {
	if tenant == "" {
		return nil
	}
	if len(l.tenants) != 1 {
		return fmt.Errorf("takein: %s holds %d tenants, which keep their names: %s", l.src.dir, len(l.tenants), strings.Join(slices.Sorted(maps.Keys(l.tenants)), " "))
	}
	for old, f := range l.tenants {
		delete(l.tenants, old)
		l.tenants[tenant] = f
		l.renamed = map[string]string{old: tenant}
	}
	return nil
}

// surveyChunks reads the newest checkpoint that is whole, and the segments from its own on. If none is, the newest
// counts, and what is damaged in it is lost.
func (o *Options) surveyChunks(ctx context.Context, dir string) (*chunkLog, error) {
	checkpoints, err := chunkCheckpoints(dir)
	if err != nil {
		return nil, err
	}
	var newest *chunkLog
	for _, num := range append(checkpoints, -1) {
		src, err := openChunks(dir, num)
		if err != nil {
			return nil, err
		}
		l := &chunkLog{takeover: newTakeover(src, &Report{}, o.Progress), tenants: map[string]*feeder{}}
		if err := l.survey(ctx); err != nil {
			return nil, err
		}
		intact := !slices.ContainsFunc(l.report.Lost, func(s string) bool { return strings.HasPrefix(s, checkpointPrefix) })
		whole := num >= 0 || len(checkpoints) == 0 || strings.TrimLeft(filepath.Base(src.wal[0]), "0") == ""
		if intact && whole {
			if newest != nil {
				l.report.Notes = append(l.report.Notes, "the newest checkpoint is damaged; the one before it and more of the log were read")
			}
			return l, nil
		}
		if newest == nil {
			newest = l
		}
	}
	return newest, nil
}

// chunkCheckpoints are the numbers of the checkpoints in dir, the newest first.
func chunkCheckpoints(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, e := range entries {
		n, ok := strings.CutPrefix(e.Name(), checkpointPrefix)
		if i, err := strconv.Atoi(n); ok && err == nil && e.IsDir() {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out, nil
}

// openChunks lists a checkpoint, none if its number is below 0, and the segments that count behind it: its own, too.
func openChunks(dir string, checkpoint int) (*source, error) {
	s := &source{dir: dir, minValid: math.MinInt64, newest: map[string]bool{}}
	s.list = func(s *source) error {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			n, ok := strings.CutPrefix(e.Name(), checkpointPrefix)
			if i, err := strconv.Atoi(n); ok && err == nil && i == checkpoint {
				if s.wal, err = segments(filepath.Join(dir, e.Name()), 0); err != nil {
					return err
				}
			}
		}
		log, err := segments(dir, max(checkpoint, 0))
		if n := len(log); n > 0 {
			s.newest[log[n-1]] = true
		}
		s.wal = append(s.wal, log...)
		return err
	}
	err := s.list(s)
	if err == nil && len(s.wal) == 0 {
		err = fmt.Errorf("takein: %s holds no segment of the log", dir)
	}
	if err == nil {
		err = s.notPrometheus()
	}
	if err == nil {
		s.state, err = s.now()
	}
	return s, err
}

// notPrometheus fails for the folder wal of a Prometheus directory, which looks alike from outside.
func (s *source) notPrometheus() error {
	t := newTakeover(s, &Report{}, nil)
	stop := errors.New("the first record says it")
	err := walio.ReadForeign(disk.OS, s.wal[len(s.wal)-1], func(r *walio.ForeignRecord) error {
		if _, err := t.dec.Series(r.Data, nil); err == nil && len(r.Data) > 1 {
			return fmt.Errorf("takein: %s is the folder of a Prometheus's log: name the directory that it lies in", s.dir)
		}
		return stop
	})
	if errors.Is(err, stop) {
		return nil
	}
	return err
}

// tenant returns what is known of a tenant.
func (l *chunkLog) tenant(id string) *feeder {
	if name, ok := l.renamed[id]; ok {
		id = name
	}
	f := l.tenants[id]
	if f == nil {
		f = &feeder{takeover: newTakeover(l.src, &Report{MinT: math.MaxInt64, MaxT: math.MinInt64}, nil), limit: smallBatch}
		l.tenants[id] = f
	}
	return f
}

// survey is the first pass.
func (l *chunkLog) survey(ctx context.Context) error {
	faults, tail, err := l.each(ctx, "survey", l.src.wal, func(rec []byte) error {
		switch {
		case len(rec) == 0:
			return errChunkRecord
		case rec[0] == chunkRecordSeries:
			tenant, rest, err := cutTenant(rec)
			if err != nil {
				return err
			}
			list, err := l.dec.Series(rest, nil)
			if err != nil {
				return err
			}
			for _, s := range list {
				l.tenant(tenant).reg.add(uint64(s.Ref), s.Labels)
			}
		case rec[0] == chunkRecordSamples: // the next pass
		case rec[0] == chunkRecordCheckpoint || rec[0] > chunkRecordTypeMax:
			s, err := parseCheckpoint(rec)
			if err != nil {
				return err
			}
			l.tenant(s.tenant).reg.add(s.fingerprint, s.labels)
		default:
			return fmt.Errorf("a record of unknown type %d", rec[0])
		}
		return nil
	})
	l.note(faults, tail)
	l.report.Bytes = l.src.size
	return err
}

// feed is the second pass, for the tenants of some reports.
func (l *chunkLog) feed(ctx context.Context, e *engine.Engine, todo []*Report) error {
	for _, r := range todo {
		f := l.tenants[r.Tenant]
		f.engine, f.ctx = e, ctx
	}
	faults, _, err := l.each(ctx, "take in", l.src.wal, func(rec []byte) error {
		if len(rec) == 0 {
			return errChunkRecord
		}
		switch {
		case rec[0] == chunkRecordSamples:
			return l.feedSamples(rec)
		case rec[0] == chunkRecordCheckpoint || rec[0] > chunkRecordTypeMax:
			return l.feedChunks(rec)
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.note(slices.DeleteFunc(faults, func(f fault) bool { return !f.decoded }), nil)
	for _, r := range todo {
		f := l.tenants[r.Tenant]
		f.flush()
		if f.err != nil {
			return f.err
		}
		if r.Samples == 0 {
			r.MinT, r.MaxT = 0, 0
		}
	}
	return nil
}

func (l *chunkLog) feedSamples(rec []byte) error {
	tenant, rest, err := cutTenant(rec)
	if err != nil {
		return err
	}
	if l.dec.Type(rest) != record.Samples {
		return errChunkRecord
	}
	if l.samples, err = l.dec.Samples(rest, l.samples[:0]); err != nil {
		return err
	}
	f := l.tenant(tenant)
	for i := range l.samples {
		s := &l.samples[i]
		f.behind(uint64(s.Ref), sample{s.T, math.Float64bits(s.V)})
	}
	return l.failed(f)
}

func (l *chunkLog) feedChunks(rec []byte) error {
	s, err := parseCheckpoint(rec)
	if err != nil {
		return err
	}
	f := l.tenant(s.tenant)
	for i := range s.chunks {
		err := s.chunks[i].samples(func(x sample) { f.behind(s.fingerprint, x) })
		if errors.Is(err, errEncoding) {
			count(&f.report.NotStored, fmt.Sprintf("chunks of encoding %d", s.chunks[i].encoding), 1)
		} else if err != nil {
			return err
		}
	}
	return l.failed(f)
}

// failed ends the pass if the engine refuses.
func (l *chunkLog) failed(f *feeder) error {
	l.err = errors.Join(l.err, f.err)
	return nil
}

// behind takes a sample if it is newer than all of its series: the log repeats what is in the checkpoint.
func (f *feeder) behind(ref uint64, s sample) {
	if f.engine == nil {
		return // this tenant was taken over before
	}
	i, ok := f.reg.find(ref)
	if !ok {
		count(&f.report.Dropped, droppedNoSeries, 1)
		return
	}
	known := &f.reg.series[i]
	switch {
	case s.t <= known.newest:
	case len(known.key) == 0:
		count(&f.report.Dropped, droppedBadLabels, 1)
	default:
		known.newest = s.t
		f.add(i, s)
	}
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	promrecord "github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

// stockView is what Prometheus's own reader finds in a tenant's directory that nobody writes to.
type stockView struct {
	samples map[string][]Sample // by labels. A series without samples in the log is not shown
	logged  map[string]int      // samples in the log, of every series that the log or its checkpoint names
	Cut     bool                // there is a checkpoint: the log does not reach back to its beginning
	said    string              // what the reader warned of
}

// readStock opens a tenant's directory with Prometheus's reader, and then reads the records one by one with its decoder.
func readStock(dir string) (*stockView, error) {
	sandbox, err := os.MkdirTemp("", "stock")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(sandbox)
	var said strings.Builder
	logger := slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn}))
	db, err := tsdb.OpenDBReadOnly(dir, sandbox, logger)
	if err != nil {
		return nil, err
	}
	v := &stockView{samples: map[string][]Sample{}, logged: map[string]int{}}
	if err := errors.Join(v.readAll(db), db.Close(), v.readRecords(filepath.Join(dir, walDir))); err != nil {
		return nil, err
	}
	v.said = said.String()
	return v, nil
}

func (v *stockView) readAll(db *tsdb.DBReadOnly) error {
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return err
	}
	defer q.Close()
	set := q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".*"))
	for set.Next() {
		name, it := set.At().Labels().String(), set.At().Iterator(nil)
		if _, twice := v.samples[name]; twice {
			return fmt.Errorf("Prometheus shows series %s twice", name)
		}
		samples := []Sample{}
		for it.Next() == chunkenc.ValFloat {
			ts, f := it.At()
			samples = append(samples, Sample{ts, math.Float64bits(f)})
		}
		if err := it.Err(); err != nil {
			return err
		}
		v.samples[name] = samples
	}
	return set.Err()
}

func (v *stockView) readRecords(wal string) error {
	log := wlog.SegmentRange{Dir: wal, First: -1, Last: -1}
	ranges := []wlog.SegmentRange{log}
	checkpoint, last, err := wlog.LastCheckpoint(wal)
	switch {
	case err == nil:
		v.Cut, log.First = true, last+1
		ranges = []wlog.SegmentRange{{Dir: checkpoint, First: -1, Last: -1}, log}
	case !errors.Is(err, promrecord.ErrNotFound):
		return err
	}
	segments, err := wlog.NewSegmentsRangeReader(ranges...)
	if err != nil {
		return err
	}
	defer segments.Close()
	names := map[uint64]string{}
	dec := promrecord.NewDecoder(labels.NewSymbolTable(), slog.New(slog.DiscardHandler))
	r := wlog.NewReader(segments)
	for r.Next() {
		switch dec.Type(r.Record()) {
		case promrecord.Series:
			list, err := dec.Series(r.Record(), nil)
			if err != nil {
				return err
			}
			for _, s := range list {
				name := s.Labels.String()
				if before, known := names[uint64(s.Ref)]; known && before != name {
					return fmt.Errorf("reference %d is %s and %s", s.Ref, before, name)
				}
				names[uint64(s.Ref)] = name
				v.logged[name] += 0
			}
		case promrecord.Samples:
			list, err := dec.Samples(r.Record(), nil)
			if err != nil {
				return err
			}
			for _, s := range list {
				if name, known := names[uint64(s.Ref)]; known {
					v.logged[name]++
				} else {
					return fmt.Errorf("a sample of reference %d, which nothing names", s.Ref)
				}
			}
		}
	}
	return r.Err()
}

// Compare compares what Prometheus's reader finds with what the engine holds. The directory names the same series. Of each,
// Prometheus shows the samples that the log holds: the newest, and all of them if the log was never cut.
func (v *stockView) Compare(ours map[string][]Sample) error {
	if v.said != "" {
		return fmt.Errorf("Prometheus warns: %s", v.said)
	}
	if len(v.logged) != len(ours) {
		return fmt.Errorf("the directory names %d series, there are %d", len(v.logged), len(ours))
	}
	for name, samples := range ours {
		n, named := v.logged[name]
		shown := v.samples[name]
		switch {
		case !named:
			return fmt.Errorf("the directory does not name series %s", name)
		case n != len(shown):
			return fmt.Errorf("the log holds %d samples of series %s, and Prometheus shows %d", n, name, len(shown))
		case n > len(samples) || !slices.Equal(shown, samples[len(samples)-n:]):
			return fmt.Errorf("Prometheus shows %d samples of series %s that are not the newest of our %d", n, name, len(samples))
		case n < len(samples) && !v.Cut:
			return fmt.Errorf("the log was never cut, and holds %d of %d samples of series %s", n, len(samples), name)
		}
	}
	return nil
}

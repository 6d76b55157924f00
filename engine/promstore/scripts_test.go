package promstore

import (
	"context"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

// Prometheus's own test scripts, all of them, answered by its PromQL engine over the simple source: promstore
// itself passes on whatever kinds of samples there are, native histograms and start timestamps included.
func TestScripts(t *testing.T) {
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	promqltest.RunBuiltinTestsWithStorage(t, engine, func(testing.TB) storage.Storage {
		src := &memSource{}
		return &scriptStorage{Queryable: New(src), append: src.add}
	})
}

// scriptStorage is what promqltest takes for a storage: one that can be appended to by AppenderV2.
type scriptStorage struct {
	*Queryable
	storage.Appendable // nil: promqltest does not use it
	append             func(labels.Labels, sample) error
	commit             func() error
	close              func() error
}

func (s *scriptStorage) AppenderV2(context.Context) storage.AppenderV2 {
	return &scriptAppender{storage: s, isHistogram: map[string]bool{}}
}

func (*scriptStorage) StartTime() (int64, error) { return 0, nil }

func (s *scriptStorage) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// scriptAppender hands on each sample as it comes; what a script loads is never rolled back.
type scriptAppender struct {
	storage *scriptStorage
	// isHistogram holds the series whose last sample was a histogram: a stale marker behind it is one as well.
	isHistogram map[string]bool
}

func (a *scriptAppender) Append(_ storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, _ storage.AppendV2Options) (storage.SeriesRef, error) {
	if h != nil {
		fh = h.ToFloat(nil)
	}
	key := string(ls.Bytes(nil))
	if fh == nil && value.IsStaleNaN(v) && a.isHistogram[key] {
		fh = &histogram.FloatHistogram{Sum: v}
	}
	a.isHistogram[key] = fh != nil
	return 1, a.storage.append(ls, sample{st: st, t: t, f: v, fh: fh})
}

func (a *scriptAppender) Commit() error {
	if a.storage.commit == nil {
		return nil
	}
	return a.storage.commit()
}

func (*scriptAppender) Rollback() error { return nil }

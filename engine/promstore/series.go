package promstore

import (
	"context"
	"runtime"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/rekindledb/rekindle/engine"
)

// selection walks the series of one Select. It is the part that sets of samples and sets of chunks share.
type selection struct {
	ctx    context.Context
	series []series // one block for all of them: At allocates nothing
	next   int      // index of the series after the current one
	err    error
}

// newSelection returns a selection of list whose samples are trimmed to w.
func newSelection(ctx context.Context, list []engine.Series, w window) selection {
	sel := selection{ctx: ctx, series: make([]series, len(list))}
	shared := &w
	for i := range list {
		sel.series[i] = series{data: &list[i], window: shared}
	}
	return sel
}

// Next steps to the next series. A cancelled query ends here, whatever the consumer does between two series.
func (s *selection) Next() bool {
	if s.err != nil || s.next == len(s.series) {
		return false
	}
	if s.err = s.ctx.Err(); s.err != nil {
		return false
	}
	s.next++
	return true
}

// Err returns why Next ended the walk early, or nil.
func (s *selection) Err() error { return s.err }

// Warnings returns none: an answer is complete or an error.
func (*selection) Warnings() annotations.Annotations { return nil }

// current returns the series that Next stepped to. It stays valid after further calls of Next.
func (s *selection) current() *series { return &s.series[s.next-1] }

// seriesSet implements storage.SeriesSet.
type seriesSet struct{ selection }

func (s *seriesSet) At() storage.Series { return s.current() }

// chunkSeriesSet implements storage.ChunkSeriesSet.
type chunkSeriesSet struct{ selection }

func (s *chunkSeriesSet) At() storage.ChunkSeries { return (*chunkSeries)(s.current()) }

// series implements storage.Series. It is 16 bytes, one for every series of an answer.
type series struct {
	data   *engine.Series
	window *window // what to trim to, the same for all series of a selection
}

// Labels implements storage.Labels.
func (s *series) Labels() labels.Labels { return s.data.Labels }

// giveWayEvery is how many series a query goes through before it lets others run, about a millisecond's work. Left alone
// it would keep its core for 10 ms at a time, and pushes, which change goroutines several times, would wait as often.
const giveWayEvery = 1024

// Iterator implements storage.SampleIterable. It reuses it, decoder included, if it came from here.
func (s *series) Iterator(it chunkenc.Iterator) chunkenc.Iterator {
	si, ok := it.(*sampleIterator)
	if !ok {
		si = &sampleIterator{}
	}
	if si.used++; si.used%giveWayEvery == 0 {
		runtime.Gosched()
	}
	si.reset(s)
	return si
}

// chunkSeries is a series that is read as chunks; it implements storage.ChunkSeries.
type chunkSeries series

// Labels implements storage.Labels.
func (s *chunkSeries) Labels() labels.Labels { return s.data.Labels }

// Iterator implements storage.ChunkIterable. It reuses it if it came from here.
func (s *chunkSeries) Iterator(it chunks.Iterator) chunks.Iterator {
	ci, ok := it.(*chunkIterator)
	if !ok {
		ci = &chunkIterator{}
	}
	ci.reset((*series)(s))
	return ci
}

package grpcsrv

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/pb"
)

// activeFor is how recent a series' samples are if it is active: Mimir's -ingester.active-series-metrics-idle-timeout.
const activeFor = 20 * time.Minute

// countedRange is the range of the series that a question about counts means.
func countedRange(active bool) (mint, maxt int64) {
	if active {
		return time.Now().Add(-activeFor).UnixMilli(), math.MaxInt64
	}
	return math.MinInt64, math.MaxInt64
}

// labelNamesAndValues is the method LabelNamesAndValues: every name and every value that it has.
func (s *Server) labelNamesAndValues(ctx context.Context, message []byte, send func(reply) error) error {
	var req pb.CardinalityRequest
	if err := req.UnmarshalNamesAndValues(message); err != nil {
		return malformed(err)
	}
	return s.query(ctx, func(ctx context.Context, tenant string) error {
		source := s.opts.Source(tenant)
		if source == nil {
			return nil
		}
		mint, maxt := countedRange(req.Active)
		names, err := source.LabelNames(ctx, mint, maxt, 0, req.Matchers...)
		if err != nil {
			return err
		}
		out := newBatch(send)
		for _, name := range names {
			values, err := source.LabelValues(ctx, name, mint, maxt, 0, req.Matchers...)
			if err != nil {
				return err
			}
			for some := range slices.Chunk(values, valuesPerItem) {
				size := len(name) + 2*stringOverhead
				for _, v := range some {
					size += len(v) + stringOverhead
				}
				if err := out.room(size); err != nil {
					return err
				}
				out.message = pb.AppendNameAndValues(out.message, name, some)
			}
		}
		return out.flush()
	})
}

// valuesPerItem is how many values of a label lie together: readers join what comes apart.
const valuesPerItem = 1000

// labelValuesCardinality is the method LabelValuesCardinality: how many series have each value of some labels.
func (s *Server) labelValuesCardinality(ctx context.Context, message []byte, send func(reply) error) error {
	var req pb.CardinalityRequest
	if err := req.UnmarshalValues(message); err != nil {
		return malformed(err)
	}
	counts := map[string]map[string]uint64{}
	for _, name := range req.Names {
		counts[name] = map[string]uint64{}
	}
	return s.query(ctx, func(ctx context.Context, tenant string) error {
		if err := s.eachCounted(ctx, tenant, &req, func(key []byte) error {
			for name, value := range pb.Labels(key) {
				if of, ok := counts[string(name)]; ok {
					of[string(value)]++
				}
			}
			return nil
		}); err != nil {
			return err
		}
		out := newBatch(send)
		for name, of := range counts {
			for value, n := range of {
				if err := out.room(len(name) + len(value) + 4*stringOverhead); err != nil {
					return err
				}
				out.message = pb.AppendValueCount(out.message, name, value, n)
			}
		}
		return out.flush()
	})
}

// activeSeries is the method ActiveSeries: the series that have had samples lately. Native histograms are not stored, so there
// are none.
func (s *Server) activeSeries(ctx context.Context, message []byte, send func(reply) error) error {
	var req pb.CardinalityRequest
	if err := req.UnmarshalActive(message); err != nil {
		return malformed(err)
	}
	return s.query(ctx, func(ctx context.Context, tenant string) error {
		if req.Histograms {
			return nil
		}
		return sending(ctx, send, func(ctx context.Context, send func(reply) error) error {
			out := newBatch(send)
			if err := s.eachCounted(ctx, tenant, &req, func(key []byte) error {
				if err := out.room(pb.SizeMetric(key)); err != nil {
					return err
				}
				out.message = pb.AppendMetric(out.message, key)
				return nil
			}); err != nil {
				return err
			}
			return out.flush()
		})
	})
}

// eachCounted calls count for the keys of the series that a request means, one after the other.
func (s *Server) eachCounted(ctx context.Context, tenant string, req *pb.CardinalityRequest, count func(key []byte) error) error {
	source := s.opts.Source(tenant)
	if source == nil {
		return nil
	}
	matchers, has, err := cutShard(req.Matchers)
	if err != nil {
		return malformed(err)
	}
	mint, maxt := countedRange(req.Active)
	var mu sync.Mutex
	return source.Stream(ctx, engine.NoSamples, mint, maxt, func(list []engine.KeyedSeries) error {
		mu.Lock()
		defer mu.Unlock()
		for i := range list {
			if !has.of(list[i].Key) {
				continue
			}
			if err := count(list[i].Key); err != nil {
				return err
			}
		}
		return nil
	}, matchers...)
}

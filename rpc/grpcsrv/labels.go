package grpcsrv

import (
	"context"
	"math"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/pb"
)

// Both answers to questions about labels, values and names, are lists of strings in field 1.

func (s *Server) labelValues(ctx context.Context, message []byte) (reply, error) {
	return collect(func(add func(string) error) error { return s.eachLabelValue(ctx, message, add) })
}

func (s *Server) labelNames(ctx context.Context, message []byte) (reply, error) {
	return collect(func(add func(string) error) error { return s.eachLabelName(ctx, message, add) })
}

func (s *Server) labelValuesStream(ctx context.Context, message []byte, send func(reply) error) error {
	return inBatches(send, func(add func(string) error) error { return s.eachLabelValue(ctx, message, add) })
}

func (s *Server) labelNamesStream(ctx context.Context, message []byte, send func(reply) error) error {
	return inBatches(send, func(add func(string) error) error { return s.eachLabelName(ctx, message, add) })
}

// collect makes one message of strings.
func collect(each func(add func(string) error) error) (m reply, err error) {
	err = each(func(v string) error {
		m = pb.AppendString(m, 1, v)
		return nil
	})
	return m, err
}

// inBatches sends strings in messages of batchBytes.
func inBatches(send func(reply) error, each func(add func(string) error) error) error {
	out := newBatch(send)
	if err := each(func(v string) error {
		if err := out.room(len(v) + stringOverhead); err != nil {
			return err
		}
		out.message = pb.AppendString(out.message, 1, v)
		return nil
	}); err != nil {
		return err
	}
	return out.flush()
}

// stringOverhead is the most bytes that a string's field has besides the string.
const stringOverhead = 6

func (s *Server) eachLabelValue(ctx context.Context, message []byte, add func(string) error) error {
	var req pb.LabelValuesRequest
	if err := req.Unmarshal(message); err != nil {
		return malformed(err)
	}
	return s.eachLabel(ctx, req.Matchers, add, func(ctx context.Context, tenant string, ms []*labels.Matcher) ([]string, error) {
		mint, maxt := s.labelRange(tenant, req.Start, req.End)
		return s.opts.Source(tenant).LabelValues(ctx, req.Name, mint, maxt, limitOf(req.Limit), ms...)
	})
}

func (s *Server) eachLabelName(ctx context.Context, message []byte, add func(string) error) error {
	var req pb.LabelNamesRequest
	if err := req.Unmarshal(message); err != nil {
		return malformed(err)
	}
	return s.eachLabel(ctx, req.Matchers, add, func(ctx context.Context, tenant string, ms []*labels.Matcher) ([]string, error) {
		mint, maxt := s.labelRange(tenant, req.Start, req.End)
		return s.opts.Source(tenant).LabelNames(ctx, mint, maxt, limitOf(req.Limit), ms...)
	})
}

// eachLabel asks a tenant that has data.
func (s *Server) eachLabel(ctx context.Context, ms []*labels.Matcher, add func(string) error,
	ask func(ctx context.Context, tenant string, ms []*labels.Matcher) ([]string, error),
) error {
	return s.query(ctx, func(ctx context.Context, tenant string) error {
		ms, _, err := cutShard(ms)
		if err != nil {
			return malformed(err)
		}
		if s.opts.Source(tenant) == nil {
			return nil
		}
		list, err := ask(ctx, tenant, ms)
		if err != nil {
			return err
		}
		for _, v := range list {
			if err := add(v); err != nil {
				return err
			}
		}
		return nil
	})
}

// limitOf is a request's limit as sources take it: 0 and less is none.
func limitOf(n int64) int { return int(min(max(n, 0), math.MaxInt32)) }

// labelRange widens the range of a question about labels, see Options.QueryIngestersWithin.
func (s *Server) labelRange(tenant string, start, end int64) (mint, maxt int64) {
	var st engine.Stats
	if s.opts.QueryIngestersWithin == 0 && s.opts.Store.Stats(tenant, &st) && start < st.MinTime {
		return math.MinInt64, math.MaxInt64
	}
	return start, end
}

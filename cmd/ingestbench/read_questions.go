package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/engine/promstore"
)

// question is one row of the read table.
type question struct {
	Name string
	// Wide questions touch so many series that the store decides what they take: of Prometheus's time half is to be
	// saved. The others are to take no longer.
	Wide bool
	ask  func(ctx context.Context) (answer, error)
}

// answer is what both systems must agree on. N counts what came, Sum adds up what it was, in an order
// that does not matter.
type answer struct {
	N   int
	Sum float64
}

// equal allows for sums that were rounded in another order.
func (a answer) equal(b answer) bool {
	return a.N == b.N && max(a.Sum-b.Sum, b.Sum-a.Sum) <= 1e-9*max(a.Sum, b.Sum, 1)
}

// asker puts questions to one system.
type asker struct {
	q        storage.SampleAndChunkQueryable
	engine   promql.QueryEngine
	from, at int64 // of the data, milliseconds
	// stream is Rekindle's way to give out chunks, nil for Prometheus.
	stream func(ctx context.Context, part engine.Part, mint, maxt int64, yield func([]engine.KeyedSeries) error, ms ...*labels.Matcher) error

	// What is asked for, taken from the data.
	metrics                                      []string
	namespace, service, instance, metric, status string

	regexps int // that were made up so far, so that each is new
}

// readSamplesMax is promql's limit on the samples of a query, high enough for all series at once.
const readSamplesMax = 100_000_000

func newAsker(ctx context.Context, q storage.SampleAndChunkQueryable, from, at int64) (*asker, error) {
	a := &asker{q: q, from: from, at: at, engine: promstore.Engine{Engine: promql.NewEngine(promql.EngineOpts{
		Logger:        slog.New(slog.DiscardHandler),
		MaxSamples:    readSamplesMax,
		Timeout:       2 * time.Minute,
		LookbackDelta: 5 * time.Minute,
		Parser:        parser.NewParser(parser.Options{}),
	})}}
	var err error
	if a.metrics, err = a.values(ctx, model.MetricNameLabel); err != nil {
		return nil, err
	}
	a.metric = a.metrics[0]
	for name, to := range map[string]*string{"namespace": &a.namespace, "job": &a.service, "instance": &a.instance, "status": &a.status} {
		values, err := a.values(ctx, name)
		if err != nil {
			return nil, err
		}
		*to = values[0]
	}
	return a, nil
}

// questions are the rows, in their order.
func (a *asker) questions() []question {
	metric := equals(model.MetricNameLabel, a.metric)
	few := a.metrics[:min(5, len(a.metrics))]
	return []question{
		{`count({__name__!=""})`, true, a.instant(`count({__name__!=""})`)},
		{"rate of a metric", true, a.rate("")},
		{"rate of half a metric", true, a.rate("status=%q", a.status)},
		{"rate of a metric in one namespace", false, a.rate("namespace=%q", a.namespace)},
		{"rate of a metric of one service", false, a.rate("job=%q", a.service)},
		{"rate of a metric of one instance", false, a.rate("instance=%q", a.instance)},
		{"rate of a metric, range of 40 steps", false, a.rateRange(40)},
		{"rate, pods by a regular expression", false, a.rate("pod=~%q", ".+-[bcd][^-]+")},
		{"rate, pods by a new regular expression", false, func(ctx context.Context) (answer, error) {
			a.regexps++
			return a.rate("pod=~%q", fmt.Sprintf(".+-[bcd][^-]+|%d.+", a.regexps))(ctx)
		}},
		{"values of pod", false, a.valuesOf("pod")},
		{"values of pod in one metric", false, a.valuesOf("pod", metric)},
		{"label names of one metric", false, a.namesOf(metric)},
		{"series of one metric", false, a.series(metric)},
		{"chunks of five metrics", true, a.chunks(labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, strings.Join(few, "|")))},
	}
}

func equals(name, value string) *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchEqual, name, value)
}

func (a *asker) rateQuery(format string, args ...any) string {
	return fmt.Sprintf("sum by (namespace) (rate(%s{%s}[5m]))", a.metric, fmt.Sprintf(format, args...))
}

func (a *asker) rate(format string, args ...any) func(context.Context) (answer, error) {
	return a.instant(a.rateQuery(format, args...))
}

// instant evaluates a query right behind the last sample.
func (a *asker) instant(text string) func(context.Context) (answer, error) {
	return func(ctx context.Context) (answer, error) {
		q, err := a.engine.NewInstantQuery(ctx, a.q, nil, text, time.UnixMilli(a.at))
		return a.evaluate(ctx, q, err)
	}
}

// rateRange evaluates the rate at steps that cover the data.
func (a *asker) rateRange(steps int) func(context.Context) (answer, error) {
	step := max(time.Duration(a.at-a.from)*time.Millisecond/time.Duration(steps), time.Millisecond)
	return func(ctx context.Context) (answer, error) {
		q, err := a.engine.NewRangeQuery(ctx, a.q, nil, a.rateQuery(""), time.UnixMilli(a.at).Add(-step*time.Duration(steps-1)), time.UnixMilli(a.at), step)
		return a.evaluate(ctx, q, err)
	}
}

func (a *asker) evaluate(ctx context.Context, q promql.Query, err error) (ans answer, _ error) {
	if err != nil {
		return ans, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	switch v := result.Value.(type) {
	case promql.Vector:
		for _, s := range v {
			ans.N++
			ans.Sum += s.F
		}
	case promql.Matrix:
		for _, s := range v {
			for _, p := range s.Floats {
				ans.N++
				ans.Sum += p.F
			}
		}
	}
	return ans, result.Err
}

func (a *asker) values(ctx context.Context, name string, ms ...*labels.Matcher) ([]string, error) {
	q, err := a.q.Querier(a.from, a.at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	values, _, err := q.LabelValues(ctx, name, nil, ms...)
	if err == nil && len(values) == 0 {
		err = fmt.Errorf("the label %s has no values", name)
	}
	return values, err
}

func (a *asker) valuesOf(name string, ms ...*labels.Matcher) func(context.Context) (answer, error) {
	return func(ctx context.Context) (answer, error) {
		values, err := a.values(ctx, name, ms...)
		return answerOf(values), err
	}
}

func (a *asker) namesOf(ms ...*labels.Matcher) func(context.Context) (answer, error) {
	return func(ctx context.Context) (answer, error) {
		q, err := a.q.Querier(a.from, a.at)
		if err != nil {
			return answer{}, err
		}
		defer q.Close()
		names, _, err := q.LabelNames(ctx, nil, ms...)
		return answerOf(names), err
	}
}

func answerOf(list []string) answer {
	a := answer{N: len(list)}
	if !slices.IsSorted(list) {
		a.N = -1
	}
	for _, s := range list {
		a.Sum += float64(xxhash.Sum64String(s) >> 40)
	}
	return a
}

// series is what /api/v1/series asks of a store.
func (a *asker) series(ms ...*labels.Matcher) func(context.Context) (answer, error) {
	return func(ctx context.Context) (ans answer, err error) {
		q, err := a.q.Querier(a.from, a.at)
		if err != nil {
			return ans, err
		}
		defer q.Close()
		set := q.Select(ctx, false, &storage.SelectHints{Start: a.from, End: a.at, Func: "series"}, ms...)
		for set.Next() {
			ans.N++
			ans.Sum += float64(set.At().Labels().Len())
		}
		return ans, set.Err()
	}
}

// chunks is what a querier of a cluster asks of an ingester: series with their chunks as they are.
func (a *asker) chunks(ms ...*labels.Matcher) func(context.Context) (answer, error) {
	if a.stream != nil {
		return func(ctx context.Context) (answer, error) { return a.streamed(ctx, ms) }
	}
	return func(ctx context.Context) (ans answer, err error) {
		q, err := a.q.ChunkQuerier(a.from, a.at)
		if err != nil {
			return ans, err
		}
		defer q.Close()
		set := q.Select(ctx, false, &storage.SelectHints{Start: a.from, End: a.at, DisableTrimming: true}, ms...)
		var it chunks.Iterator
		for set.Next() {
			s := set.At()
			ans.N += min(s.Labels().Len(), 1)
			n := 0
			for it = s.Iterator(it); it.Next(); {
				n += len(it.At().Chunk.Bytes())
			}
			if err := it.Err(); err != nil {
				return ans, err
			}
			if n == 0 {
				return ans, fmt.Errorf("%s has no chunk", s.Labels())
			}
		}
		return ans, set.Err()
	}
}

// streamed is chunks by the engine's own way, which QueryStream goes.
func (a *asker) streamed(ctx context.Context, ms []*labels.Matcher) (answer, error) {
	var n atomic.Int64
	err := a.stream(ctx, engine.AllSamples, a.from, a.at, func(list []engine.KeyedSeries) error {
		for _, s := range list {
			if len(s.Key) == 0 || len(s.Chunks) == 0 {
				return fmt.Errorf("%q has %d chunks", s.Key, len(s.Chunks))
			}
		}
		n.Add(int64(len(list)))
		return nil
	}, ms...)
	return answer{N: int(n.Load())}, err
}

package engine

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// expiring is a context that is done when it has been asked often enough.
type expiring struct {
	context.Context
	asks atomic.Int64
}

func (c *expiring) Err() error {
	if c.asks.Add(-1) < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// A query that is cancelled ends with the context's error at whichever moment that happens, also in the middle of a
// stripe: it looks at its context once in so many series and values, and hardly again when it is done.
func TestQueriesAreCancelledInsideAStripe(t *testing.T) {
	const series = 20 * lockStep
	e := start(t, testConfig(t, func(c *Config) { c.WAL, c.Checkpoint, c.Stripes = false, false, 1 }))
	var b Batch
	for i := range series {
		add(&b, labels.FromStrings(model.MetricNameLabel, "m", "id", fmt.Sprint(i)), sample(testNow.UnixMilli(), 1))
	}
	push(t, e, "t", &b)
	ten := e.Tenant("t")
	ms := func(k int64) []*labels.Matcher { // new ones, so that nothing is known of the values
		return []*labels.Matcher{
			labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "m"),
			labels.MustNewMatcher(labels.MatchRegexp, "id", fmt.Sprintf("[0-9]+|%d.+", k)),
		}
	}
	for name, ask := range map[string]func(ctx context.Context, k int64) (int, error){
		"series": func(ctx context.Context, k int64) (int, error) {
			list, err := ten.Select(ctx, math.MinInt64, math.MaxInt64, ms(k)...)
			return len(list), err
		},
		"values": func(ctx context.Context, k int64) (int, error) {
			list, err := ten.LabelValues(ctx, "id", math.MinInt64, math.MaxInt64, 0, ms(k)...)
			return len(list), err
		},
		"names": func(ctx context.Context, k int64) (int, error) {
			list, err := ten.LabelNames(ctx, math.MinInt64, math.MaxInt64, 0, ms(k)...)
			return len(list) * series / 2, err
		},
	} {
		for asks := int64(0); ; asks++ {
			ctx := &expiring{Context: t.Context()}
			ctx.asks.Store(asks)
			n, err := ask(ctx, asks)
			if err == nil {
				require.Equal(t, series, n, name)
				require.Greater(t, asks, int64(series/lockStep), "%s: the context is hardly looked at", name)
				break
			}
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Zero(t, n)
			require.GreaterOrEqual(t, ctx.asks.Load(), int64(-5), "%s went on", name)
		}
	}
}

package engine

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A series that is made while a query runs is answered only if it satisfies the query: it may stand in one of
// the lists that the query reads and not yet in another.
func TestExclusionWhileSeriesAreMade(t *testing.T) {
	e := start(t, testConfig(t, func(c *Config) { c.Stripes = 1 }))
	made := func(i int) *Batch {
		var b Batch
		for k := range 50 {
			add(&b, labels.FromStrings(model.MetricNameLabel, "m", "i", fmt.Sprintf("%d-%d", i, k), "kind", "x"), sample(testNow.UnixMilli(), 1))
		}
		return &b
	}
	push(t, e, "t", made(0))
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 60 {
			_, err := e.Append(t.Context(), "t", made(i+1))
			assert.NoError(t, err)
		}
	})
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	not := labels.MustNewMatcher(labels.MatchNotEqual, "kind", "x")
	m := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "m")
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		for _, ms := range [][]*labels.Matcher{{not}, {not, m}, {m, not}} {
			got, err := e.Tenant("t").Select(t.Context(), math.MinInt64, math.MaxInt64, ms...)
			require.NoError(t, err)
			require.Zero(t, len(got))
		}
	}
}

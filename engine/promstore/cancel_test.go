package promstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"

	"github.com/rekindledb/rekindle/engine"
)

// A context that is done before a question is asked, and one that becomes done between two series, end all kinds of
// questions with the context's error, and not with a shorter answer.
func TestCancelledQuestions(t *testing.T) {
	q := New(floats(t, 0, map[string][]int64{"a": {1}, "b": {1}, "c": {1}}))
	for _, after := range []int{0, 1, 2} {
		ctx, cancel := context.WithCancel(t.Context())
		series, err := q.Querier(0, 10)
		require.NoError(t, err)
		chunked, err := q.ChunkQuerier(0, 10)
		require.NoError(t, err)
		if after == 0 {
			cancel()
			_, _, err := series.LabelNames(ctx, nil)
			require.ErrorIs(t, err, context.Canceled)
			_, _, err = chunked.LabelValues(ctx, "job", nil)
			require.ErrorIs(t, err, context.Canceled)
		}
		set := series.Select(ctx, true, nil, everything)
		cset := chunked.Select(ctx, true, nil, everything)
		for range after {
			require.True(t, set.Next())
			require.True(t, cset.Next())
		}
		cancel()
		require.False(t, set.Next())
		require.ErrorIs(t, set.Err(), context.Canceled)
		require.False(t, set.Next())
		require.False(t, cset.Next())
		require.ErrorIs(t, cset.Err(), context.Canceled)
	}
}

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

// Sorting stops at whichever compare finds the context done, leaves the list with all its elements, and is right
// when nobody interferes.
func TestSortIsCancelled(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	list := make([]engine.Series, 3000)
	for i := range list {
		list[i].Labels = labels.FromStrings("id", fmt.Sprint(i))
	}
	byLabels := func(a, b engine.Series) int { return labels.Compare(a.Labels, b.Labels) }
	want := slices.Clone(list)
	slices.SortFunc(want, byLabels)

	for asks := int64(0); ; asks = 2*asks + 1 {
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		ctx := &expiring{Context: t.Context()}
		ctx.asks.Store(asks)
		err := sortByLabels(ctx, list)
		if err == nil {
			require.Equal(t, want, list)
			require.Greater(t, asks, int64(100), "the context is hardly looked at")
			return
		}
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, int64(-1), ctx.asks.Load(), "went on comparing")
		slices.SortFunc(list, byLabels)
		require.Equal(t, want, list, "series were lost or doubled")
	}
}

// hanging is a Source whose SelectPart takes until its context is done.
type hanging struct {
	Source
	entered chan struct{}
}

func (h hanging) SelectPart(ctx context.Context, _ engine.Part, _, _ int64, _ ...*labels.Matcher) ([]engine.Series, error) {
	close(h.entered)
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// Cancelling a PromQL query reaches into the source, and PromQL reports it as cancelled.
func TestCancelReachesTheSource(t *testing.T) {
	src := hanging{entered: make(chan struct{})}
	ng := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	query, err := ng.NewInstantQuery(t.Context(), New(src), nil, "sum(up)", time.UnixMilli(1000))
	require.NoError(t, err)
	defer query.Close()
	go func() {
		<-src.entered
		query.Cancel()
	}()
	var cancelled promql.ErrQueryCanceled
	require.ErrorAs(t, query.Exec(t.Context()).Err, &cancelled)
}

package engine

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// The values of a label that stripes share are numbered once, in every stripe alike, and those that come later are
// added, also to a view that somebody still has. With no memory for it the answers are the same.
func TestValuesWhileSeriesAreMade(t *testing.T) {
	for _, memory := range []int64{0, 1 << 12} {
		e := start(t, testConfig(t, func(c *Config) { c.Stripes, c.MatchCacheBytes = 4, memory }))
		var want []string
		var before *valueView
		for round := range 6 {
			var b Batch
			for i := range 40 {
				pod := fmt.Sprintf("pod-%d", round*30+i) // ten are known
				for k := range 12 {
					add(&b, labels.FromStrings(model.MetricNameLabel, fmt.Sprint("m", k), "pod", pod), sample(testNow.UnixMilli()+int64(round), 1))
				}
				want = append(want, pod)
			}
			push(t, e, "t", &b)
			slices.Sort(want)
			want = slices.Compact(want)

			ten := e.Tenant("t")
			got, err := ten.LabelValues(t.Context(), "pod", math.MinInt64, math.MaxInt64, 0)
			require.NoError(t, err)
			require.Equal(t, want, got)
			re := labels.MustNewMatcher(labels.MatchRegexp, "pod", fmt.Sprintf("pod-.*%d", round)) // judged for the first time
			series, err := ten.Select(t.Context(), math.MinInt64, math.MaxInt64, re)
			require.NoError(t, err)
			require.Equal(t, 12*len(slices.DeleteFunc(slices.Clone(want), func(v string) bool { return !re.Matches(v) })), len(series))

			view := ten.valuesOf("pod")
			if memory > 0 {
				require.Nil(t, view, "the table is larger than allowed")
				continue
			}
			e.matchers.tables.Wait() // until it is remembered
			checkView(t, ten, view)
			if before != nil {
				checkView(t, ten, before)
			}
			before = view
		}
		require.NoError(t, e.Close())
	}
}

// checkView compares a view's numbers with the pairs that they stand for.
func checkView(t *testing.T, ten *Tenant, v *valueView) {
	t.Helper()
	require.Len(t, v.sorted, len(v.values))
	for i := range ten.stripes {
		s := &ten.stripes[i]
		l := s.pairsOfName("pod")
		pairs := l.AppendTo(s.a, nil)
		require.LessOrEqual(t, len(v.numbers[i]), len(pairs))
		for at, n := range v.numbers[i] {
			_, value, _ := splitPair(s.pairBytes(refOf(pairs[at])))
			require.Equal(t, string(value), v.values[n])
		}
	}
}

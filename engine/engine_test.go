package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// What was pushed is answered, after a clean restart, after a stop that nobody announced, and after both
// again: chunks that closed, chunks that are open, series that never changed.
func TestRestart(t *testing.T) {
	for _, mode := range []string{"images", "log only", "images all the time"} {
		t.Run(mode, func(t *testing.T) {
			c := testConfig(t, func(c *Config) {
				c.Checkpoint = mode != "log only"
				if mode == "images all the time" {
					c.CheckpointDuration = time.Millisecond
				}
			})
			e := start(t, c)
			want := map[string][]Sample{}
			now := testNow.UnixMilli()
			round := func(k, series int) {
				var b Batch
				for i := range series {
					s := sample(now+int64(k)*15_000, float64(i*k))
					add(&b, pod(i), s)
					want[pod(i).String()] = append(want[pod(i).String()], s)
				}
				push(t, e, "t", &b)
			}
			k := 0
			for range 3 {
				for range 150 {
					round(k, 40+k/10)
					k++
				}
				require.Equal(t, want, contents(t, e, "t"))
				require.NoError(t, e.Close())
				e = start(t, c)
				require.Equal(t, want, contents(t, e, "t"))
			}
			var st Stats
			e.Tenant("t").Stats(&st)
			require.Zero(t, st.Recover.Unknown+st.Recover.Misplaced+st.Recover.Stale)
			require.NoError(t, e.Close())
		})
	}
}

// The rules for samples that are not the next one: Prometheus's, and Cortex's words.
func TestRefusals(t *testing.T) {
	c := testConfig(t)
	e := start(t, c)
	defer e.Close()
	l := labels.FromStrings(model.MetricNameLabel, "m", "a", "b")
	now := testNow.UnixMilli()
	var b Batch
	add(&b, l, sample(now, 1))
	require.Equal(t, AppendResult{Stored: 1, NewSeries: 1}, push(t, e, "t", &b))

	others := 0
	try := func(s ...Sample) (AppendResult, error) {
		var b Batch
		add(&b, l, s...)
		others++
		add(&b, pod(others), sample(now, 1))
		return e.Append(context.Background(), "t", &b)
	}
	// The same again is accepted and stores nothing.
	r, err := try(sample(now, 1))
	require.NoError(t, err)
	require.Equal(t, 1, r.Duplicates)

	for _, tc := range []struct {
		s      Sample
		reason Reason
		text   string
	}{
		{sample(now, 2), ReasonNewValue, `user=t: err: duplicate sample for timestamp 1700000000000; overrides not allowed: existing 1, new value 2. series={__name__="m", a="b"}`},
		{sample(now-1, 2), ReasonOutOfOrder, `user=t: err: out of order sample. timestamp=2023-11-14T22:13:19.999Z, series={__name__="m", a="b"}`},
		{sample(now-blockRange, 2), ReasonOutOfBounds, `user=t: err: out of bounds. timestamp=2023-11-14T20:13:20Z, series={__name__="m", a="b"}`},
		{sample(now+25*3600_000, 2), ReasonTooFarInFuture, `user=t: timestamp too new: 1700090000000 metric: "m"`},
	} {
		r, err := try(tc.s)
		var se *SampleError
		require.True(t, errors.As(err, &se), "%v", err)
		require.Equal(t, tc.reason, se.Reason)
		require.Equal(t, tc.text, se.Text)
		require.Equal(t, 1, r.Rejected)
		require.Equal(t, 1, r.Stored, "the rest of the request is stored")
	}
}

package engine

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// While samples are appended across several block ranges, chunks are closed and their files are written, a query
// sees of every series a run without gaps that reaches at least to what was acknowledged before it began: for all
// of time, and for ranges that cut through chunks.
func TestSelectWhileAppending(t *testing.T) {
	const (
		series = 20
		steps  = 500
		step   = int64(60_000) // a range of two hours is 120 samples, as a chunk is
	)
	e := start(t, testConfig(t, func(c *Config) { c.Stripes = 2 }))
	defer func() { require.NoError(t, e.Close()) }()
	origin := make([]int64, series)
	for i := range origin {
		// Some series are on their second range when others begin with the first.
		origin[i] = (rangeOf(testNow.UnixMilli())+1)*blockRange - rand.Int64N(blockRange/4)
	}
	at := func(i int, k int64) Sample { return sample(origin[i]+k*step, float64(k)) }

	var acked atomic.Int64 // samples of every series
	var background sync.WaitGroup
	stop := make(chan struct{})
	failed := make(chan error, 2)
	background.Go(func() {
		defer close(stop)
		for k := range int64(steps) {
			var b Batch
			for i := range series {
				add(&b, pod(i), at(i, k))
			}
			if _, err := e.Append(context.Background(), "t", &b); err != nil {
				failed <- err
				return
			}
			acked.Add(1)
		}
	})
	background.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if ten := e.Tenant("t"); ten != nil {
				if err := ten.flushChunks(); err != nil {
					failed <- err
					return
				}
			}
		}
	})
	defer background.Wait()

	all := labels.MustNewMatcher(labels.MatchRegexp, "pod", ".+")
	for running := true; running; {
		select {
		case <-stop:
			running = false // once more, with everything there
		default:
		}
		n := acked.Load()
		if n == 0 {
			continue
		}
		mint := slices.Min(origin) + rand.Int64N(max(n*step, 1))
		maxt := mint + rand.Int64N(4*blockRange)
		if !running {
			mint, maxt = 0, slices.Max(origin)+steps*step
		}
		list, err := e.Tenant("t").Select(context.Background(), mint, maxt, all)
		require.NoError(t, err)
		found := map[string][]Sample{}
		for _, s := range list {
			found[s.Labels.String()] = samplesOf(t, s)
		}
		for i := range series {
			got := found[pod(i).String()]
			for k := range got {
				require.Equal(t, at(i, (got[0].T-origin[i])/step+int64(k)), got[k])
			}
			for k := range n {
				if want := at(i, k); want.T >= mint && want.T <= maxt {
					require.Contains(t, got, want, "series %d, sample %d of %d acknowledged, range [%d, %d]", i, k, n, mint, maxt)
				}
			}
		}
	}
	select {
	case err := <-failed:
		require.NoError(t, err)
	default:
	}
}

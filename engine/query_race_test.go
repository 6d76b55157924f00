package engine

import (
	"context"
	"fmt"
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
// of time, and for ranges that cut through chunks. Several tenants one after another, because the files of a tenant
// are made in its first moments.
func TestSelectWhileAppending(t *testing.T) {
	e := start(t, testConfig(t, func(c *Config) { c.Stripes, c.WAL, c.Checkpoint = 2, false, false }))
	defer func() { require.NoError(t, e.Close()) }()
	for i := range 20 {
		selectWhileAppending(t, e, fmt.Sprint("t", i))
	}
}

func selectWhileAppending(t *testing.T, e *Engine, tenant string) {
	const (
		series = 20
		steps  = 500
		first  = 2 * maxSamplesPerChunk // steps of the first request
		step   = int64(20_000)
	)
	// The first series of a stripe begins a range later than the others, whose chunks of the range before are
	// closed after its own: newer chunks are on their way to the disk before older ones.
	boundary := (rangeOf(testNow.UnixMilli()) + 1) * blockRange
	origin := make([]int64, series)
	for i := range origin {
		origin[i] = boundary
		if i >= series/2 {
			origin[i] -= rand.Int64N(blockRange / 4)
		}
	}
	at := func(i int, k int64) Sample { return sample(origin[i]+k*step, float64(k)) }

	var acked atomic.Int64 // samples of every series
	var background sync.WaitGroup
	stop := make(chan struct{})
	failed := make(chan error, 2)
	background.Go(func() {
		defer close(stop)
		for k := int64(0); k < steps; {
			var b Batch
			n := int64(1)
			if k == 0 {
				n = first
			}
			for i := range series {
				var samples []Sample
				for j := range n {
					samples = append(samples, at(i, k+j))
				}
				add(&b, pod(i), samples...)
			}
			if _, err := e.Append(context.Background(), tenant, &b); err != nil {
				failed <- err
				return
			}
			k += n
			acked.Store(k)
		}
	})
	background.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if ten := e.Tenant(tenant); ten != nil {
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
		ten := e.Tenant(tenant)
		if ten == nil {
			continue
		}
		n := acked.Load()
		mint := slices.Min(origin) + rand.Int64N(max(n*step, 1))
		maxt := mint + rand.Int64N(4*blockRange)
		if !running || n <= first {
			mint, maxt = 0, slices.Max(origin)+steps*step
		}
		list, err := ten.Select(context.Background(), mint, maxt, all)
		require.NoError(t, err)
		found := map[string][]Sample{}
		for _, s := range list {
			found[s.Labels.String()] = samplesOf(t, s)
		}
		for i := range series {
			// The numbers of the acknowledged samples in the range: from lo to below hi.
			lo := max(0, (mint-origin[i]+step-1)/step)
			hi := min(n, (maxt-origin[i]+step)/step)
			got := found[pod(i).String()]
			if lo < hi {
				require.NotEmpty(t, got, "series %d, samples %d to %d in [%d, %d]", i, lo, hi, mint, maxt)
				require.LessOrEqual(t, got[0].T, at(i, lo).T, "series %d begins late, range [%d, %d]", i, mint, maxt)
				require.GreaterOrEqual(t, got[len(got)-1].T, at(i, hi-1).T, "series %d ends early, range [%d, %d]", i, mint, maxt)
			}
			for k := range got {
				if want := at(i, (got[0].T-origin[i])/step+int64(k)); got[k] != want {
					require.Equal(t, want, got[k], "series %d has a gap", i)
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

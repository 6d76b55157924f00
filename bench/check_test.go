package bench

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
)

// Check finds all samples of a healthy database, churn included, and tells a missing sample, a changed value
// and a series that nobody sent. The database is Prometheus's head.
func TestCheck(t *testing.T) {
	const scrapes = 30
	w := newWorkload(t, Params{Series: 400, SeriesPerTarget: 4, Churn: 20})
	f := w.Feeder()
	for name, test := range map[string]struct {
		change         func(n, scrape int, v *float64) (keep bool)
		missing, wrong int
	}{
		"healthy": {change: func(int, int, *float64) bool { return true }},
		"missing": {change: func(n, scrape int, _ *float64) bool { return n != 7 || scrape != 20 }, missing: 1},
		"changed": {change: func(n, scrape int, v *float64) bool {
			if n == 7 && scrape >= 20 {
				*v++
			}
			return true
		}, missing: 10, wrong: 10},
	} {
		t.Run(name, func(t *testing.T) {
			head := openHead(t)
			for scrape := range scrapes {
				app := head.Appender(t.Context())
				require.NoError(t, f.Each(scrape, 0, w.Series(), true, func(n int, l labels.Labels, at int64, v float64) error {
					if !test.change(n, scrape, &v) {
						return nil
					}
					_, err := app.Append(0, l, at, v)
					return err
				}))
				require.NoError(t, app.Commit())
			}
			found, err := w.Check(t.Context(), queryable(head), scrapes)
			require.NoError(t, err)
			require.Equal(t, w.Created(scrapes-1), found.Series)
			require.Equal(t, w.Series()*scrapes-test.missing, found.Samples)
			require.Equal(t, test.wrong, found.Wrong, found.FirstWrong)
		})
	}

	t.Run("strange", func(t *testing.T) {
		head := openHead(t)
		app := head.Appender(t.Context())
		job := targetLabels(10, 0, 0, w.targets)[w.jobAt].Value
		_, err := app.Append(0, labels.FromStrings("__name__", "x", "job", job), w.p.Start, 1)
		require.NoError(t, err)
		require.NoError(t, app.Commit())
		found, err := w.Check(t.Context(), queryable(head), scrapes)
		require.NoError(t, err)
		require.Equal(t, 1, found.Wrong)
		require.Contains(t, found.FirstWrong, "nobody sent this series")
	})
}

func openHead(t *testing.T) *tsdb.Head {
	opts := tsdb.DefaultHeadOptions()
	opts.ChunkDirRoot = t.TempDir()
	head, err := tsdb.NewHead(nil, nil, nil, nil, opts, nil)
	require.NoError(t, err)
	require.NoError(t, head.Init(0))
	t.Cleanup(func() { require.NoError(t, head.Close()) })
	return head
}

func queryable(head *tsdb.Head) storage.Queryable {
	return storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		return tsdb.NewBlockQuerier(tsdb.NewRangeHead(head, mint, maxt), mint, maxt)
	})
}

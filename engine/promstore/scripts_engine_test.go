package promstore

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/rekindledb/rekindle/engine"
)

// scriptLoad counts the samples that a script loads.
type scriptLoad struct {
	floats int // all of them go through the engine
	// What the engine does not store yet is kept in memory beside it, so that no query of a script has to be left
	// out. Queries over such samples show nothing about the engine; all others do.
	histograms int // native histograms, those made of classic ones included: the engine counts them as discarded
	startTimes int // floats with a start timestamp: the engine has no place for it
}

// scriptLoads is what the scripts of this version of Prometheus load. A change here is a change of what is tested.
var scriptLoads = map[string]scriptLoad{
	"aggregators.test":         {floats: 402, histograms: 31},
	"at_modifier.test":         {floats: 12031},
	"collision.test":           {floats: 6},
	"duration_expression.test": {floats: 1233},
	"extended_vectors.test":    {floats: 268, histograms: 69},
	"fill-modifier.test":       {floats: 86},
	"functions.test":           {floats: 28225, histograms: 5188},
	"histograms.test":          {floats: 1568, histograms: 399},
	"info.test":                {floats: 225, histograms: 1},
	"limit.test":               {floats: 88, histograms: 24},
	"literals.test":            {}, // loads nothing
	"name_label_dropping.test": {floats: 31},
	"native_histograms.test":   {floats: 188, histograms: 600},
	"operators.test":           {floats: 386, histograms: 40},
	"range_queries.test":       {floats: 81, histograms: 5},
	"selectors.test":           {floats: 8325},
	"staleness.test":           {floats: 5},
	"start_timestamps.test":    {floats: 81, histograms: 84, startTimes: 152},
	"subquery.test":            {floats: 11203, histograms: 12},
	"trig_functions.test":      {floats: 3},
	"type_and_unit.test":       {floats: 176},
}

// Prometheus's own test scripts, all of them, over the engine.
func TestScriptsOnEngine(t *testing.T) {
	// Without a log: a tenant for each of 256 storages is made in no time, and queries never see the log.
	e := openEngine(t, engine.Config{Dir: t.TempDir(), Stripes: 4})
	defer func() { require.NoError(t, e.Close()) }()
	loads := map[string]*scriptLoad{}
	tenants := 0
	ng := Engine{promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)}
	promqltest.RunBuiltinTestsWithStorage(t, ng, func(t testing.TB) storage.Storage {
		tenants++
		file := path.Base(t.Name())
		if loads[file] == nil {
			loads[file] = &scriptLoad{}
		}
		src := &scriptSource{t: t, engine: e, tenant: fmt.Sprint("script-", tenants), load: loads[file]}
		return &scriptStorage{Queryable: New(src), append: src.add}
	})
	got := map[string]scriptLoad{}
	for file, load := range loads {
		got[file] = *load
	}
	require.Equal(t, scriptLoads, got)
}

// scriptSource is a tenant of the engine, and a memSource for what the engine does not store. What is loaded waits for
// the next query: some scripts load a series of hours, and then one that begins when the first did. The engine refuses
// what is more than an hour older than the newest sample, unless it comes in the same request.
type scriptSource struct {
	Source // nil: a script selects series and nothing else
	t      testing.TB
	engine *engine.Engine
	tenant string
	load   *scriptLoad

	waiting corpus
	beside  memSource
}

func (s *scriptSource) add(ls labels.Labels, v sample) error {
	switch {
	case v.fh != nil:
		s.load.histograms++
		return s.beside.add(ls, v)
	case v.st != 0:
		s.load.startTimes++
		return s.beside.add(ls, v)
	}
	s.load.floats++
	if n := len(s.waiting); n == 0 || !labels.Equal(s.waiting[n-1].labels, ls) {
		s.waiting = append(s.waiting, corpusSeries{labels: ls})
	}
	last := &s.waiting[len(s.waiting)-1]
	last.samples = append(last.samples, v)
	return nil
}

func (s *scriptSource) SelectPart(ctx context.Context, part engine.Part, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error) {
	if len(s.waiting) > 0 {
		push(s.t, s.engine, s.tenant, s.waiting)
		s.waiting = nil
	}
	list, err := s.beside.SelectPart(ctx, part, mint, maxt, ms...)
	if err != nil {
		return nil, err
	}
	if tenant := s.engine.Tenant(s.tenant); tenant != nil {
		floats, err := tenant.SelectPart(ctx, part, mint, maxt, ms...)
		if err != nil {
			return nil, err
		}
		list = append(list, floats...)
	}
	slices.SortFunc(list, func(a, b engine.Series) int { return labels.Compare(a.Labels, b.Labels) })
	for i := 1; i < len(list); i++ {
		if labels.Equal(list[i-1].Labels, list[i].Labels) {
			if list[i-1], err = mixed(list[i-1], list[i]); err != nil {
				return nil, err
			}
			list = slices.Delete(list, i, i+1)
		}
	}
	return list, nil
}

// mixed makes one series of two with the same labels, whose chunks may overlap.
func mixed(a, b engine.Series) (engine.Series, error) {
	q := New(canned{list: []engine.Series{a, b}})
	querier, err := q.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return engine.Series{}, err
	}
	set := querier.Select(context.Background(), false, nil, everything)
	both := &memSeries{labels: a.Labels}
	for set.Next() {
		samples, err := storage.ExpandSamplesWithoutReplacingNaNs(set.At().Iterator(nil), func(st, t int64, f float64, h *histogram.Histogram, fh *histogram.FloatHistogram) chunks.Sample {
			return sample{st: st, t: t, f: f, fh: fh}
		})
		if err != nil {
			return engine.Series{}, err
		}
		both.samples = append(both.samples, samples...)
	}
	slices.SortFunc(both.samples, func(a, b chunks.Sample) int { return cmp.Compare(a.T(), b.T()) })
	err = new(memSource).encode(both)
	return engine.Series{Labels: both.labels, Chunks: both.chunks}, err
}

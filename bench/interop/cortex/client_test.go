package cortex

import (
	"fmt"
	"io"
	"sort"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cortexproject/cortex/pkg/cortexpb"
	"github.com/cortexproject/cortex/pkg/ingester/client"
	"github.com/cortexproject/cortex/pkg/util/chunkcompat"
)

var compressions = []string{"snappy-block", "", "snappy", "gzip", "zstd"}

// seriesLabels is series i of the tests.
func seriesLabels(i int) labels.Labels {
	return labels.FromStrings("__name__", "up", "instance", fmt.Sprintf("10.0.0.%d:9090", i), "job", fmt.Sprintf("job-%d", i%7), "zone", "ä")
}

// writeRequest is a sample of each series, made as a distributor does, source and metadata included.
func writeRequest(series int, at int64, source cortexpb.SourceEnum) *cortexpb.WriteRequest {
	all := make([]labels.Labels, series)
	samples := make([]cortexpb.Sample, series)
	for i := range all {
		all[i], samples[i] = seriesLabels(i), cortexpb.Sample{TimestampMs: at, Value: float64(i) + float64(at%1000)}
	}
	metadata := []*cortexpb.MetricMetadata{{Type: cortexpb.GAUGE, MetricFamilyName: "up", Help: "Is it up?", Unit: "bool"}}
	return cortexpb.ToWriteRequest(all, samples, metadata, nil, source)
}

// query reads a QueryStream as the querier does, series by labels.
func query(t testing.TB, c client.IngesterClient, tenant string, from, to int64, ms ...*labels.Matcher) map[string][]string {
	t.Helper()
	req, err := client.ToQueryRequest(model.Time(from), model.Time(to), ms)
	require.NoError(t, err)
	stream, err := c.QueryStream(as(tenant), req)
	require.NoError(t, err)
	found := map[string][]string{}
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			return found
		}
		require.NoError(t, err)
		require.Positive(t, m.ChunksCount())
		require.Positive(t, m.SamplesCount())
		for _, s := range m.Chunkseries {
			name := cortexpb.FromLabelAdaptersToLabels(s.Labels).String()
			require.NotContains(t, found, name)
			chunks, err := chunkcompat.FromChunks(labels.EmptyLabels(), s.Chunks)
			require.NoError(t, err)
			for _, c := range chunks {
				it := c.Data.Iterator(nil)
				for it.Next() != chunkenc.ValNone {
					ts, v := it.At()
					require.LessOrEqual(t, int64(c.From), ts)
					require.GreaterOrEqual(t, int64(c.Through), ts)
					found[name] = append(found[name], fmt.Sprint(ts, " ", v))
				}
				require.NoError(t, it.Err())
			}
		}
	}
}

var up = labels.MustNewMatcher(labels.MatchEqual, "__name__", "up")

// Pushes of distributors in each compression, by requests and by streams, come back sample for sample from QueryStream in
// each compression; also after the ingester was killed.
func TestPushAndQuery(t *testing.T) {
	const series = 1500
	p := startIngester(t)
	start := time.Now().Truncate(time.Minute).Add(-30 * time.Minute).UnixMilli()
	want := map[string][]string{}
	at := start
	for round := range 3 {
		for _, compression := range compressions {
			streams := round == 2
			c := p.dial(t, compression, streams)
			push := c.Push
			if streams {
				push = c.PushStreamConnection
			}
			resp, err := push(as("one"), writeRequest(series, at, cortexpb.API))
			require.NoError(t, err)
			if streams {
				require.EqualValues(t, 200, resp.Code)
			}
			for i := range series {
				name := seriesLabels(i).String()
				want[name] = append(want[name], fmt.Sprint(at, " ", float64(i)+float64(at%1000)))
			}
			at += 15_001
		}
	}
	for _, compression := range compressions {
		require.Equal(t, want, query(t, p.dial(t, compression, false), "one", start, at, up))
	}
	p.end(t, syscall.SIGKILL)
	p.start(t)
	c := p.dial(t, "snappy-block", false)
	require.Equal(t, want, query(t, c, "one", start, at, up))
	require.Empty(t, query(t, c, "two", start, at, up))

	health, err := c.Check(as("0"), &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, health.Status)
}

// Questions about labels, series, metadata and statistics, in both forms where there are two.
func TestMetadataCalls(t *testing.T) {
	const series = 300 // more than a batch of Cortex's
	p := startIngester(t)
	c := p.dial(t, "snappy-block", false)
	now := time.Now().Truncate(time.Second).UnixMilli()
	_, err := c.Push(as("one"), writeRequest(series, now, cortexpb.RULE))
	require.NoError(t, err)
	at := model.Time(now)
	jobs := []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "job", "job-[123]"), labels.MustNewMatcher(labels.MatchNotEqual, "job", "job-2")}

	for _, limit := range []int{0, 1} {
		names, err := client.ToLabelNamesRequest(at, at, limit, jobs)
		require.NoError(t, err)
		one, err := c.LabelNames(as("one"), names)
		require.NoError(t, err)
		require.Equal(t, []string{"__name__", "instance", "job", "zone"}[:4-3*limit], one.LabelNames)
		many, err := c.LabelNamesStream(as("one"), names)
		require.NoError(t, err)
		require.Equal(t, one.LabelNames, collect(t, many.Recv, func(m *client.LabelNamesStreamResponse) []string { return m.LabelNames }))

		values, err := client.ToLabelValuesRequest("job", at, at, limit, jobs)
		require.NoError(t, err)
		oneV, err := c.LabelValues(as("one"), values)
		require.NoError(t, err)
		require.Equal(t, []string{"job-1", "job-3"}[:2-limit], oneV.LabelValues)
		manyV, err := c.LabelValuesStream(as("one"), values)
		require.NoError(t, err)
		require.Equal(t, oneV.LabelValues, collect(t, manyV.Recv, func(m *client.LabelValuesStreamResponse) []string { return m.LabelValues }))
	}

	metrics, err := client.ToMetricsForLabelMatchersRequest(at, at, 0, []*labels.Matcher{up})
	require.NoError(t, err)
	more, err := client.ToMetricsForLabelMatchersRequest(at, at, 0, jobs)
	require.NoError(t, err)
	metrics.MatchersSet = append(metrics.MatchersSet, more.MatchersSet...)
	one, err := c.MetricsForLabelMatchers(as("one"), metrics)
	require.NoError(t, err)
	many, err := c.MetricsForLabelMatchersStream(as("one"), metrics)
	require.NoError(t, err)
	var want []string
	for i := range series {
		want = append(want, seriesLabels(i).String())
	}
	sort.Strings(want)
	require.Equal(t, want, metricNames(one.Metric))
	require.Equal(t, want, metricNames(collect(t, many.Recv, func(m *client.MetricsForLabelMatchersStreamResponse) []*cortexpb.Metric { return m.Metric })))

	md, err := c.MetricsMetadata(as("one"), &client.MetricsMetadataRequest{Limit: -1, LimitPerMetric: -1})
	require.NoError(t, err)
	require.Equal(t, []*cortexpb.MetricMetadata{{Type: cortexpb.GAUGE, MetricFamilyName: "up", Help: "Is it up?", Unit: "bool"}}, md.Metadata)

	stats, err := c.UserStats(as("one"), &client.UserStatsRequest{})
	require.NoError(t, err)
	require.EqualValues(t, series, stats.NumSeries)
	require.EqualValues(t, series, stats.ActiveSeries)
	require.Positive(t, stats.RuleIngestionRate)
	require.Zero(t, stats.ApiIngestionRate)
	all, err := c.AllUserStats(as("1"), &client.UserStatsRequest{})
	require.NoError(t, err)
	require.Len(t, all.Stats, 1)
	require.Equal(t, "one", all.Stats[0].UserId)
	require.EqualValues(t, series, all.Stats[0].Data.NumSeries)

	exemplars, err := client.ToExemplarQueryRequest(at, at, jobs, []*labels.Matcher{up})
	require.NoError(t, err)
	none, err := c.QueryExemplars(as("one"), exemplars)
	require.NoError(t, err)
	require.Empty(t, none.Timeseries)
}

func collect[M, T any](t testing.TB, recv func() (M, error), of func(M) []T) (all []T) {
	t.Helper()
	for {
		m, err := recv()
		if err == io.EOF {
			return all
		}
		require.NoError(t, err)
		all = append(all, of(m)...)
	}
}

func metricNames(all []*cortexpb.Metric) (names []string) {
	for _, m := range all {
		names = append(names, cortexpb.FromLabelAdaptersToLabels(m.Labels).String())
	}
	sort.Strings(names)
	return names
}

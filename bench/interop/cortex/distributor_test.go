package cortex

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"github.com/thanos-io/thanos/pkg/store/labelpb"
	"github.com/thanos-io/thanos/pkg/store/storepb"
	"github.com/weaveworks/common/httpgrpc"
	"google.golang.org/grpc/status"

	"github.com/cortexproject/cortex/pkg/cortexpb"
	"github.com/cortexproject/cortex/pkg/ingester/client"
	"github.com/cortexproject/cortex/pkg/querysharding"
)

// What the ingester refuses looks to a distributor as what its own ingester refuses: bad data is of the 4xx family and has
// an HTTP answer for the sender in it, and anything else is not. By requests and by streams.
func TestRefusals(t *testing.T) {
	p := startIngester(t, "-auth.enabled=true", "-server.grpc-max-recv-msg-size-bytes=1048576", "-distributor.max-recv-msg-size=1048576")
	now := time.Now().Truncate(time.Second).UnixMilli()
	series := func(at int64, v float64, l ...string) *cortexpb.WriteRequest {
		ts := cortexpb.TimeSeries{Samples: []cortexpb.Sample{{TimestampMs: at, Value: v}}}
		for i := 0; i < len(l); i += 2 {
			ts.Labels = append(ts.Labels, cortexpb.LabelAdapter{Name: l[i], Value: l[i+1]})
		}
		return &cortexpb.WriteRequest{Timeseries: []cortexpb.PreallocTimeseries{{TimeSeries: &ts}}}
	}
	for _, streams := range []bool{false, true} {
		c := p.dial(t, "snappy-block", streams)
		push := c.Push
		if streams {
			push = c.PushStreamConnection
		}
		_, err := push(as("one"), series(now, 1, "__name__", "up"))
		require.NoError(t, err)
		for _, bad := range []struct {
			req  *cortexpb.WriteRequest
			text string // of bad data; our own trouble has none
		}{
			{series(now, 2, "__name__", "up"), "user=one: err: duplicate sample for timestamp"},
			{series(now-1, 1, "__name__", "up"), "user=one: err: out of order sample. timestamp="},
			{series(now-1e8, 1, "__name__", "up", "a", "b"), "user=one: err: out of bounds. timestamp="},
			{series(now, 1, "__name__", "up", "a", "b", "a", "c"), "duplicate label name"},
			{series(now, 1, "__name__", "up", "a\xff", "b"), "sample invalid label"},
			{series(now, 1, "__name__", "up", "a", "\xff"), "sample invalid label value"},
			{series(now, 1, "__name__", "up", "a", strings.Repeat("x", 1<<17)), "labels size bytes exceeded"},
			{series(now, 1, "b", "x", "a", "y"), ""},
		} {
			_, err := push(as("one"), bad.req)
			require.Error(t, err)
			resp, ok := httpgrpc.HTTPResponseFromError(err)
			family := familyOf(err)
			if bad.text == "" {
				require.NotEqual(t, 4, family, "%v", err)
				require.ErrorContains(t, err, "out-of-order label set found when push")
				continue
			}
			require.True(t, ok, "%v", err)
			require.EqualValues(t, http.StatusBadRequest, resp.Code)
			require.Equal(t, 4, family)
			require.True(t, strings.HasPrefix(string(resp.Body), bad.text), "%s", resp.Body)
		}
		_, err = push(as("one"), series(now+1000, 1, "__name__", "up", "streams", map[bool]string{true: "y", false: "n"}[streams]))
		require.NoError(t, err)
	}
	c := p.dial(t, "snappy-block", false)
	_, err := c.Push(as("one"), series(now, 1, "__name__", "up", "a", strings.Repeat("x", 1<<20)))
	require.ErrorContains(t, err, "larger than max")
	require.NotEqual(t, 4, familyOf(err))
	_, err = c.Push(as("a/b"), series(now, 1, "__name__", "up"))
	require.Error(t, err)
	require.NotEqual(t, 4, familyOf(err))
	require.Len(t, query(t, c, "one", now, now+1000, up), 3)

	resp, err := http.Get("http://" + p.http + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	metrics, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	for _, line := range []string{
		`cortex_request_duration_seconds_count{method="gRPC",route="/cortex.Ingester/Push",status_code="400",ws="false"} 7`,
		`cortex_request_duration_seconds_count{method="gRPC",route="/cortex.Ingester/Push",status_code="success",ws="false"} 2`,
		`cortex_request_duration_seconds_count{method="gRPC",route="/cortex.Ingester/QueryStream",status_code="success",ws="false"} 1`,
		`cortex_ingester_out_of_order_labels_total{user="one"} 2`,
	} {
		require.Contains(t, string(metrics), line)
	}
}

// familyOf is the family of an error's code, as the distributor counts it for its quorum.
func familyOf(err error) int {
	st, ok := status.FromError(err)
	if !ok {
		return 5
	}
	return int(st.Code()) / 100
}

// The parts of a vertically sharded query hold what Cortex's own matcher says that they hold.
func TestShards(t *testing.T) {
	const series, shards = 200, 3
	p := startIngester(t)
	c := p.dial(t, "snappy-block", false)
	now := time.Now().Truncate(time.Second).UnixMilli()
	_, err := c.Push(as("one"), writeRequest(series, now, cortexpb.API))
	require.NoError(t, err)
	for _, by := range []bool{true, false} {
		for _, names := range [][]string{nil, {"job"}, {"instance", "zone"}} {
			for i := range shards {
				info := &storepb.ShardInfo{ShardIndex: int64(i), TotalShards: shards, By: by, Labels: names}
				raw, err := info.Marshal()
				require.NoError(t, err)
				found := query(t, c, "one", now, now, up, shardMatcher(raw))
				matcher := info.Matcher(&querysharding.Buffers)
				for k := range series {
					l := seriesLabels(k)
					_, ok := found[l.String()]
					require.Equal(t, matcher.MatchesZLabels(labelpb.ZLabelsFromPromLabels(l)), ok, "%v %v %d", by, names, i)
				}
			}
		}
	}
}

func shardMatcher(info []byte) *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchEqual, querysharding.CortexShardByLabel, base64.StdEncoding.EncodeToString(info))
}

// A read that the ingester cannot make sense of does not end it.
func TestBadRead(t *testing.T) {
	p := startIngester(t)
	c := p.dial(t, "snappy-block", false)
	stream, err := c.QueryStream(as("one"), &client.QueryRequest{Matchers: []*client.LabelMatcher{{Type: client.REGEX_MATCH, Name: "a", Value: "("}}})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Error(t, err)
	req, err := client.ToLabelValuesRequest("a", model.Earliest, model.Latest, 0, []*labels.Matcher{up})
	require.NoError(t, err)
	_, err = c.LabelValues(as("one"), req)
	require.NoError(t, err)
}

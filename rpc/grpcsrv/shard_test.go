package grpcsrv

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"
)

// The shards of a query hold all series together, each series once, and series that agree in the labels that count lie in
// the same one.
func TestShards(t *testing.T) {
	const series, shards = 120, 4
	h := newHarness(t, nil)
	now := time.Now().UnixMilli()
	h.push(t, as("one"), writeRequest(t, series, now))
	for name, matcher := range map[string]func(i int) string{
		"by job":           func(i int) string { return cortexMatcher(t, i, shards, true, "job") },
		"without job":      func(i int) string { return cortexMatcher(t, i, shards, false, "job") },
		"without anything": func(i int) string { return cortexMatcher(t, i, shards, false) },
		"Mimir": func(i int) string {
			return fmt.Sprintf(`{"name":"__query_shard__","value":"%d_of_%d"}`, i+1, shards)
		},
	} {
		t.Run(name, func(t *testing.T) {
			found, jobs := map[string]int{}, map[string]int{}
			for i := range shards {
				answers, err := h.stream(as("one"), "QueryStream", encode(t, "QueryRequest",
					`{"start":%d,"end":%d,"matchers":[{"name":"__name__","value":"up"},%s]}`, now, now, matcher(i)))
				require.NoError(t, err)
				for l := range chunkSeries(t, decode(t, "QueryStreamResponse", answers...)) {
					require.NotContains(t, found, l)
					found[l] = i
					job := l[len(l)-len(`job="a"`):]
					if was, ok := jobs[job]; ok && name == "by job" {
						require.Equal(t, was, i, l)
					}
					jobs[job] = i
				}
			}
			require.Len(t, found, series)
		})
	}
}

func cortexMatcher(t testing.TB, index, total int, by bool, labels ...string) string {
	info := encode(t, "ShardInfo", `{"index":%d,"total":%d,"by":%v,"labels":%s}`, index, total, by, jsonList(labels))
	return fmt.Sprintf(`{"name":"__CORTEX_SHARD_BY__","value":%q}`, base64.StdEncoding.EncodeToString(info))
}

func jsonList(all []string) string {
	out := "["
	for i, s := range all {
		if i > 0 {
			out += ","
		}
		out += fmt.Sprintf("%q", s)
	}
	return out + "]"
}

// Mimir's shard is Prometheus's stable hash of all labels; Cortex's, over all labels, is the same number.
func TestShardHash(t *testing.T) {
	l := labels.FromStrings("__name__", "up", "instance", "a:1", "job", "ü")
	ts := prompb.TimeSeries{Labels: prompb.FromLabels(l, nil)}
	key, err := ts.Marshal()
	require.NoError(t, err)
	for m := uint64(1); m < 20; m++ {
		want := labels.StableHash(l) % m
		for n := range m {
			_, mimir, err := cutShard([]*labels.Matcher{{Name: mimirShard, Value: fmt.Sprintf("%d_of_%d", n+1, m)}})
			require.NoError(t, err)
			require.Equal(t, n == want, mimir.of(key))
			info := encode(t, "ShardInfo", `{"index":%d,"total":%d}`, n, m)
			rest, cortex, err := cutShard([]*labels.Matcher{{Name: cortexShard, Value: base64.StdEncoding.EncodeToString(info)}, {Name: "a"}})
			require.NoError(t, err)
			require.Len(t, rest, 1)
			require.Equal(t, n == want, cortex.of(key))
		}
	}
}

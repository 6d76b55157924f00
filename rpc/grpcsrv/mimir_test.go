package grpcsrv

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/rpc/pb"
)

// Mimir's querier gets all series first, sorted as Prometheus sorts labels, the end of them marked, then the chunks of each,
// in the same order and in messages of the size that it asked for; and the mark alone if there is nothing.
func TestMimirQueryStream(t *testing.T) {
	const series, scrapes = 300, 3
	h := newHarness(t, nil)
	now := time.Now().Truncate(time.Second).UnixMilli()
	for i := range scrapes {
		h.push(t, as("one"), writeRequest(t, series, now+int64(i)*1000))
	}
	for _, batch := range []int{1, 7, 256, 1000} {
		answers, err := h.stream(as("one"), "QueryStream", encode(t, "MimirQueryRequest",
			`{"start":%d,"end":%d,"batch":%d,"matchers":[{"name":"__name__","value":"up"}]}`, now, now+scrapes*1000, batch))
		require.NoError(t, err)
		var names []string
		ended, next := false, 0
		for _, a := range answers {
			m := decode(t, "MimirQueryStreamResponse", a)
			list, chunks := get(m, "series").List(), get(m, "chunks").List()
			require.False(t, ended && list.Len() > 0 || !ended && chunks.Len() > 0)
			require.LessOrEqual(t, chunks.Len(), batch)
			for i := range list.Len() {
				names = append(names, labelsOf(list.Get(i).Message()))
				require.EqualValues(t, 1, get(list.Get(i).Message(), "chunk_count").Int())
			}
			ended = ended || get(m, "end").Bool()
			for i := range chunks.Len() {
				c := chunks.Get(i).Message()
				require.EqualValues(t, next, get(c, "index").Uint())
				x, err := chunkenc.FromData(chunkenc.EncXOR, get(c, "chunks", 0, "data").Bytes())
				require.NoError(t, err)
				require.Equal(t, scrapes, x.NumSamples())
				it := x.Iterator(nil)
				it.Next()
				_, v := it.At()
				require.Contains(t, names[next], fmt.Sprintf(`instance="%v"`, v))
				next++
			}
		}
		require.True(t, ended)
		require.Len(t, names, series)
		require.Equal(t, series, next)
		require.True(t, slices.IsSorted(names), "these labels sort as their texts do")
	}
	for _, tenant := range []string{"one", "nobody"} {
		answers, err := h.stream(as(tenant), "QueryStream", encode(t, "MimirQueryRequest", `{"start":0,"end":%d,"batch":10,"matchers":[{"name":"a","value":"b"}]}`, now))
		require.NoError(t, err)
		require.Len(t, answers, 1)
		require.True(t, get(decode(t, "MimirQueryStreamResponse", answers[0]), "end").Bool())
	}
}

// Keys are ordered as Prometheus orders labels, whatever their lengths.
func TestCompareKeys(t *testing.T) {
	var all []labels.Labels
	for _, name := range []string{"a", "aa", "b", "ü"} {
		for _, value := range []string{"", "1", "10", "2", string(make([]byte, 200))} {
			all = append(all, labels.FromStrings(name, value+"x"), labels.FromStrings(name, value+"x", "z", "y"), labels.FromStrings("a", "x", name+"b", value+"x"))
		}
	}
	key := func(l labels.Labels) []byte {
		ts := prompb.TimeSeries{Labels: prompb.FromLabels(l, nil)}
		b, err := ts.Marshal()
		require.NoError(t, err)
		return b
	}
	sign := func(n int) int { return int(math.Copysign(min(1, math.Abs(float64(n))), float64(n))) }
	for _, a := range all {
		for _, b := range all {
			require.Equal(t, sign(labels.Compare(a, b)), sign(pb.CompareKeys(key(a), key(b))), "%s %s", a, b)
		}
	}
}

// Names, values and how many series have them; and which series had samples lately.
func TestMimirCardinality(t *testing.T) {
	h := newHarness(t, nil)
	now := time.Now().UnixMilli()
	h.push(t, as("one"), writeRequest(t, 9, now-(30*time.Minute).Milliseconds()))
	h.push(t, as("one"), writeRequest(t, 4, now))

	answers, err := h.stream(as("one"), "LabelNamesAndValues", encode(t, "CardinalityRequest", `{"matchers":[{"name":"job","value":"a"}]}`))
	require.NoError(t, err)
	items := get(decode(t, "LabelNamesAndValuesResponse", answers...), "items").List()
	found := map[string][]string{}
	for i := range items.Len() {
		m := items.Get(i).Message()
		found[get(m, "name").String()] = list(m, "values")
	}
	require.Equal(t, map[string][]string{"__name__": {"up"}, "instance": {"0", "3", "6"}, "job": {"a"}}, found)

	for method, want := range map[int]map[string]uint64{0: {"a": 3, "b": 3, "c": 3}, 1: {"a": 2, "b": 1, "c": 1}} {
		answers, err = h.stream(as("one"), "LabelValuesCardinality", encode(t, "ValuesCardinalityRequest", `{"names":["job","none"],"method":%d}`, method))
		require.NoError(t, err)
		items = get(decode(t, "ValuesCardinalityResponse", answers...), "items").List()
		counts := map[string]uint64{}
		for i := range items.Len() {
			m := items.Get(i).Message()
			require.Equal(t, "job", get(m, "name").String())
			counts[get(m, "counts", 0, "value").String()] += get(m, "counts", 0, "series").Uint()
		}
		require.Equal(t, want, counts)
		answer, err := h.call(as("one"), "UserStats", encode(t, "MimirUserStatsRequest", `{"method":%d}`, method))
		require.NoError(t, err)
		require.EqualValues(t, 9-5*method, get(decode(t, "UserStatsResponse", answer), "num_series").Uint())
	}

	for typ, want := range []int{2, 0} {
		answers, err = h.stream(as("one"), "ActiveSeries", encode(t, "CardinalityRequest", `{"matchers":[{"name":"job","value":"a"}],"method":%d}`, typ))
		require.NoError(t, err)
		require.Equal(t, want, get(decode(t, "MetricsForLabelMatchersResponse", answers...), "metric").List().Len())
	}
	for _, method := range []string{"LabelNamesAndValues", "LabelValuesCardinality", "ActiveSeries"} {
		answers, err := h.stream(as("nobody"), method, nil)
		require.NoError(t, err)
		require.Empty(t, answers)
		_, err = h.stream(as("one"), method, []byte("\x0a"))
		requireStatus(t, err, 400, "decode ")
	}
}

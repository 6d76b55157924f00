package grpcsrv

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rekindledb/rekindle/engine"
)

// What is pushed comes back by QueryStream, every sample and no other, with every compression, in many messages; each series
// lies in one.
func TestPushAndQueryStream(t *testing.T) {
	const series, scrapes = 600, 12
	h := newHarness(t, nil)
	start := time.Now().Truncate(time.Second).Add(-time.Hour).UnixMilli()
	compressions := []string{"", SnappyBlock, "snappy", "gzip", "zstd", "s2"}
	for i := range scrapes {
		var opts []grpc.CallOption
		if c := compressions[i%len(compressions)]; c != "" {
			opts = append(opts, grpc.UseCompressor(c))
		}
		h.push(t, as("one"), writeRequest(t, series, start+int64(i)*1000), opts...)
	}
	for _, c := range compressions {
		answers, err := h.stream(as("one"), "QueryStream", encode(t, "QueryRequest", `{"start":%d,"end":%d,"matchers":[{"type":0,"name":"__name__","value":"up"}],"ref":{}}`,
			start, start+scrapes*1000), grpc.UseCompressor(cmpOr(c, "identity")))
		require.NoError(t, err, c)
		require.Greater(t, len(answers), 1)
		got := map[string][]string{}
		for _, a := range answers {
			require.Less(t, len(a), batchBytes+1000)
			for l, samples := range chunkSeries(t, decode(t, "QueryStreamResponse", a)) {
				require.NotContains(t, got, l)
				got[l] = samples
			}
		}
		require.Len(t, got, series, c)
		for i := range series {
			samples := got[fmt.Sprintf(`__name__="up",instance="%d",job="%c"`, i, 'a'+i%3)]
			require.Len(t, samples, scrapes)
			for k, s := range samples {
				require.Equal(t, fmt.Sprint(start+int64(k)*1000, " ", i), s)
			}
		}
	}
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// chunkSeries decodes the chunks of a message.
func chunkSeries(t testing.TB, m protoreflect.Message) map[string][]string {
	all := map[string][]string{}
	series := get(m, "chunkseries").List()
	for i := range series.Len() {
		s := series.Get(i).Message()
		var samples []string
		chunks := get(s, "chunks").List()
		for k := range chunks.Len() {
			c := chunks.Get(k).Message()
			require.EqualValues(t, 4, get(c, "encoding").Int())
			x, err := chunkenc.FromData(chunkenc.EncXOR, get(c, "data").Bytes())
			require.NoError(t, err)
			it := x.Iterator(nil)
			for it.Next() != chunkenc.ValNone {
				ts, v := it.At()
				require.LessOrEqual(t, get(c, "start").Int(), ts)
				require.GreaterOrEqual(t, get(c, "end").Int(), ts)
				samples = append(samples, fmt.Sprint(ts, " ", v))
			}
			require.NoError(t, it.Err())
		}
		all[labelsOf(s)] = samples
	}
	return all
}

// Matchers of all four types, limits, ranges and both forms of each question about labels and series.
func TestLabelsAndSeries(t *testing.T) {
	h := newHarness(t, nil)
	now := time.Now().Truncate(time.Second).UnixMilli()
	h.push(t, as("one"), writeRequest(t, 10, now))
	matchers := func(form string) string {
		var all []string
		for one := range strings.SplitSeq(form, ",") {
			for typ, op := range []string{"=", "!=", "=~", "!~"} {
				if name, value, ok := strings.Cut(one, " "+op+" "); ok {
					all = append(all, fmt.Sprintf(`{"type":%d,"name":%q,"value":%q}`, typ, name, value))
				}
			}
		}
		return `{"matchers":[` + strings.Join(all, ",") + `]}`
	}
	both := func(method, request, answer, field, json string) []string {
		t.Helper()
		body := encode(t, request, "%s", json)
		one, err := h.call(as("one"), method, body)
		require.NoError(t, err)
		want := list(decode(t, answer, one), field)
		many, err := h.stream(as("one"), method+"Stream", body)
		require.NoError(t, err)
		require.Equal(t, want, list(decode(t, answer, many...), field))
		return want
	}
	values := func(name, form string, start, end, limit int64) []string {
		t.Helper()
		return both("LabelValues", "LabelValuesRequest", "LabelValuesResponse", "values",
			fmt.Sprintf(`{"name":%q,"start":%d,"end":%d,"limit":%d,"matchers":%s}`, name, start, end, limit, matchers(form)))
	}
	require.Equal(t, []string{"a", "b", "c"}, values("job", "", now, now, 0))
	require.Equal(t, []string{"a", "b"}, values("job", "", now, now, 2))
	require.Equal(t, []string{"a", "c"}, values("job", "job != b", now, now, 0))
	require.Equal(t, []string{"1", "4"}, values("instance", "instance =~ [0-5],job = b", now, now, 0))
	require.Equal(t, []string{"7"}, values("instance", "instance !~ [0-5],job = b", now, now, 0))
	require.Empty(t, values("nothing", "", now, now, 0))
	// Dashboards of times before the oldest sample find their labels; a time after the newest has none.
	require.Equal(t, []string{"a", "b", "c"}, values("job", "", now-1e9, now-1e8, 0))
	require.Empty(t, values("job", "", now+1000, now+2000, 0))

	for request, form := range map[string]string{"LabelNamesRequest": "", "MimirLabelNamesRequest": ""} {
		names := both("LabelNames", request, "LabelNamesResponse", "names", fmt.Sprintf(`{"start":%d,"end":%d,"matchers":%s}`, now, now, matchers(form)))
		require.Equal(t, []string{"__name__", "instance", "job"}, names, request)
		names = both("LabelNames", request, "LabelNamesResponse", "names", fmt.Sprintf(`{"start":%d,"end":%d,"limit":2,"matchers":%s}`, now, now, matchers("job = a")))
		require.Equal(t, []string{"__name__", "instance"}, names, request)
		require.Empty(t, both("LabelNames", request, "LabelNamesResponse", "names", fmt.Sprintf(`{"start":%d,"end":%d,"matchers":%s}`, now, now, matchers("job = x"))))
	}

	series := func(limit int, sets ...string) []string {
		t.Helper()
		for i := range sets {
			sets[i] = matchers(sets[i])
		}
		body := encode(t, "MetricsForLabelMatchersRequest", `{"start":%d,"end":%d,"limit":%d,"sets":[%s]}`, now, now, limit, strings.Join(sets, ","))
		one, err := h.call(as("one"), "MetricsForLabelMatchers", body)
		require.NoError(t, err)
		many, err := h.stream(as("one"), "MetricsForLabelMatchersStream", body)
		require.NoError(t, err)
		var found [2][]string
		for i, m := range []protoreflect.Message{decode(t, "MetricsForLabelMatchersResponse", one), decode(t, "MetricsForLabelMatchersResponse", many...)} {
			l := get(m, "metric").List()
			for k := range l.Len() {
				found[i] = append(found[i], labelsOf(l.Get(k).Message()))
			}
			slices.Sort(found[i])
		}
		if limit == 0 {
			require.Equal(t, found[0], found[1])
		}
		return found[0]
	}
	require.Len(t, series(0, "__name__ = up"), 10)
	require.Len(t, series(7, "__name__ = up"), 7)
	require.Equal(t, []string{`__name__="up",instance="0",job="a"`, `__name__="up",instance="3",job="a"`, `__name__="up",instance="4",job="b"`},
		series(0, "instance =~ 0|3", "instance =~ 3|4"), "sets are or-ed, and what is in two is there once")
	require.Empty(t, series(0, "__name__ = down"))
}

// Metadata, statistics and exemplars.
func TestStats(t *testing.T) {
	h := newHarness(t, nil)
	now := time.Now().UnixMilli()
	body := append(writeRequest(t, 10, now), encode(t, "WriteRequest",
		`{"source":1,"metadata":[{"type":2,"metric_family_name":"up","help":"Is it up?","unit":""},{"type":1,"metric_family_name":"requests","help":"How many.","unit":"1"}]}`)...)
	h.push(t, as("one"), body)
	h.push(t, as("two"), writeRequest(t, 3, now))

	metadata := func(tenant, metric string) (all []string) {
		answer, err := h.call(as(tenant), "MetricsMetadata", encode(t, "MetricsMetadataRequest", `{"limit":-1,"limit_per_metric":-1,"metric":%q}`, metric))
		require.NoError(t, err)
		l := get(decode(t, "MetricsMetadataResponse", answer), "metadata").List()
		for i := range l.Len() {
			m := l.Get(i).Message()
			all = append(all, fmt.Sprint(get(m, "type"), get(m, "metric_family_name"), "|", get(m, "help"), "|", get(m, "unit")))
		}
		return all
	}
	require.Equal(t, []string{"1 requests|How many.|1", "2 up|Is it up?|"}, metadata("one", ""))
	require.Equal(t, []string{"2 up|Is it up?|"}, metadata("one", "up"))
	require.Empty(t, metadata("two", ""))

	answer, err := h.call(as("one"), "UserStats", nil)
	require.NoError(t, err)
	one := decode(t, "UserStatsResponse", answer)
	require.EqualValues(t, 10, get(one, "num_series").Uint())
	require.EqualValues(t, someActive, get(one, "active_series").Uint())
	require.Positive(t, get(one, "rule_ingestion_rate").Float())
	require.Zero(t, get(one, "api_ingestion_rate").Float())
	require.Equal(t, get(one, "rule_ingestion_rate").Float(), get(one, "ingestion_rate").Float())

	answer, err = h.call(as("1"), "AllUserStats", nil)
	require.NoError(t, err)
	all := decode(t, "UsersStatsResponse", answer)
	require.Equal(t, 2, get(all, "stats").List().Len())
	require.Equal(t, "two", get(all, "stats", 1, "user_id").String())
	require.EqualValues(t, 3, get(all, "stats", 1, "data", "num_series").Uint())
	require.EqualValues(t, someActive, get(all, "stats", 1, "data", "active_series").Uint())
	require.Positive(t, get(all, "stats", 1, "data", "api_ingestion_rate").Float())

	answer, err = h.call(as("one"), "QueryExemplars", encode(t, "ExemplarQueryRequest", `{"start":0,"end":%d,"sets":[{"matchers":[{"name":"__name__","value":"up"}]}]}`, now))
	require.NoError(t, err)
	require.Empty(t, answer)
}

// A tenant that has nothing gets empty answers, and is not made by asking.
func TestUnknownTenant(t *testing.T) {
	h := newHarness(t, nil)
	query := encode(t, "QueryRequest", `{"start":0,"end":%d,"matchers":[{"name":"a","value":"b"}]}`, int64(math.MaxInt64))
	answers, err := h.stream(as("nobody"), "QueryStream", query)
	require.NoError(t, err)
	require.Empty(t, answers)
	for _, method := range []string{"LabelValues", "LabelNames", "MetricsForLabelMatchers", "MetricsMetadata"} {
		answer, err := h.call(as("nobody"), method, nil)
		require.NoError(t, err)
		require.Empty(t, answer)
		if method != "MetricsMetadata" {
			answers, err := h.stream(as("nobody"), method+"Stream", nil)
			require.NoError(t, err)
			require.Empty(t, answers)
		}
	}
	answer, err := h.call(as("nobody"), "UserStats", nil)
	require.NoError(t, err)
	require.Zero(t, get(decode(t, "UserStatsResponse", answer), "num_series").Uint())
	require.Empty(t, h.Tenants())
}

// A client that asks for a lot and reads nothing holds up nobody: pushes go on, and a stop does not wait for it.
func TestStuckReader(t *testing.T) {
	h := newHarness(t, nil)
	now := time.Now().UnixMilli()
	for i := range 40 { // 10 MB, far more than lies in windows and queues
		var all []string
		for k := range 128 {
			all = append(all, fmt.Sprintf(`{"labels":[%s,%s],"samples":[{"value":1,"timestamp_ms":%d}]}`,
				label("__name__", "up"), label("long", fmt.Sprint(i, ".", k, strings.Repeat("x", 2000))), now))
		}
		h.push(t, as("one"), encode(t, "WriteRequest", `{"timeseries":[%s]}`, strings.Join(all, ",")))
	}
	s, err := h.conn.NewStream(as("one"), &grpc.StreamDesc{ServerStreams: true}, "/cortex.Ingester/QueryStream")
	require.NoError(t, err)
	require.NoError(t, s.SendMsg(encode(t, "QueryRequest", `{"start":0,"end":%d,"matchers":[{"name":"__name__","value":"up"}]}`, now)))
	require.NoError(t, s.RecvMsg(new([]byte)))
	h.push(t, as("one"), writeRequest(t, 10, now))
	require.NoError(t, h.gate.Close(t.Context()))
	require.NoError(t, h.e.Close())
	for err == nil {
		err = s.RecvMsg(new([]byte))
	}
	requireStatus(t, err, codes.Unavailable, "not ready: stopping")
}

// Chunks have other numbers on the wire than in Prometheus, and what queriers cannot read is an error in place of something
// that they would take for something else.
func TestChunkEncodings(t *testing.T) {
	for in, want := range map[chunkenc.Encoding]int64{chunkenc.EncXOR: 4, chunkenc.EncHistogram: 5, chunkenc.EncFloatHistogram: 6, 4: 0, chunkenc.EncNone: 0} {
		h := newHarness(t, func(o *Options) {
			o.Source = func(string) Source { return oneChunk{enc: in} }
		})
		for form, batch := range []int{0, 10} {
			answers, err := h.stream(as("one"), "QueryStream", encode(t, "MimirQueryRequest", `{"start":-5,"end":5,"batch":%d}`, batch))
			if want == 0 {
				requireStatus(t, err, codes.Unknown, "a chunk has the encoding ")
				continue
			}
			require.NoError(t, err)
			var c protoreflect.Message
			if form == 0 {
				c = get(decode(t, "QueryStreamResponse", answers...), "chunkseries", 0, "chunks", 0).Message()
			} else {
				c = get(decode(t, "MimirQueryStreamResponse", answers...), "chunks", 0, "chunks", 0).Message()
			}
			require.Equal(t, want, get(c, "encoding").Int())
			require.EqualValues(t, -5, get(c, "start").Int())
			require.EqualValues(t, 5, get(c, "end").Int())
			require.Equal(t, "data", string(get(c, "data").Bytes()))
		}
	}
}

// oneChunk is a source of one series with one chunk.
type oneChunk struct {
	Source
	enc chunkenc.Encoding
}

func (o oneChunk) Stream(_ context.Context, _ engine.Part, mint, maxt int64, yield func([]engine.KeyedSeries) error, _ ...*labels.Matcher) error {
	return yield([]engine.KeyedSeries{{
		Key:    []byte("\x0a\x06\x0a\x01a\x12\x01b"),
		Chunks: []engine.Chunk{{MinT: mint, MaxT: maxt, Enc: o.enc, Data: []byte("data")}},
	}})
}

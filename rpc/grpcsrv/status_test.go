package grpcsrv

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/guard"
)

// label is a LabelPair in JSON, whose bytes are base64 there.
func label(name, value string) string {
	return fmt.Sprintf(`{"name":%q,"value":%q}`, base64.StdEncoding.EncodeToString([]byte(name)), base64.StdEncoding.EncodeToString([]byte(value)))
}

func oneSeries(t testing.TB, at int64, labels ...string) []byte {
	return encode(t, "WriteRequest", `{"timeseries":[{"labels":[%s],"samples":[{"value":1,"timestamp_ms":%d}]}]}`, strings.Join(labels, ","), at)
}

// Bad data is 400 in the form that distributors hand on to the sender, whatever is bad; what has nothing to do with the
// data never is. Good series of the same request are stored, and so is what comes after.
func TestPushStatuses(t *testing.T) {
	h := newHarness(t, nil, grpc.MaxRecvMsgSize(1<<20))
	now := time.Now().Truncate(time.Second).UnixMilli()
	up := label("__name__", "up")
	good := oneSeries(t, now, up, label("job", "good"))
	h.push(t, as("one"), good)
	h.push(t, as("one"), good) // the same again is no error
	for name, c := range map[string]struct {
		message []byte
		code    codes.Code
		text    string // of the error, from its beginning
	}{
		"other value":       {oneSeriesValue(t, now, 2, up, label("job", "good")), 400, "user=one: err: duplicate sample for timestamp"},
		"out of order":      {oneSeries(t, now-1000, up, label("job", "good")), 400, "user=one: err: out of order sample. timestamp="},
		"out of bounds":     {oneSeries(t, now-1e8, up, label("job", "new")), 400, "user=one: err: out of bounds. timestamp="},
		"far future":        {oneSeries(t, now+1e8, up, label("job", "new")), 400, "user=one: timestamp too new"},
		"duplicate label":   {oneSeries(t, now, up, label("job", "a"), label("job", "b")), 400, `duplicate label name: "job"`},
		"bad UTF-8 name":    {oneSeries(t, now, up, label("\xff", "a")), 400, "sample invalid label: "},
		"bad UTF-8 value":   {oneSeries(t, now, up, label("job", "\xff")), 400, "sample invalid label value: "},
		"no labels":         {oneSeries(t, now), 400, "sample missing metric name"},
		"giant label":       {oneSeries(t, now, up, label("job", strings.Repeat("x", 1<<16))), 400, "labels size bytes exceeded for metric"},
		"unsorted":          {oneSeries(t, now, label("job", "a"), up), codes.Unknown, "user=one: out-of-order label set found when push: "},
		"cut short":         {good[:len(good)-1], 400, "decode remote write 1.0 request: field at byte 0: "},
		"no message at all": {[]byte("GET / HTTP/1.1"), 400, "decode remote write 1.0 request: "},
		"huge":              {make([]byte, 1<<20+1), codes.ResourceExhausted, "grpc: received message larger than max"},
		"many":              {[]byte(strings.Repeat("\x0a\x00", 1<<19)), 400, "sample missing metric name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.call(as("one"), "Push", append(c.message, oneSeries(t, now, up, label("job", "beside "+name))...))
			if name == "huge" || name == "many" || name == "cut short" {
				_, err = h.call(as("one"), "Push", c.message)
			}
			requireStatus(t, err, c.code, c.text)
			h.push(t, as("one"), good)
			h.push(t, as("two"), good)
		})
	}
	require.NoError(t, testutil.GatherAndCompare(h.reg, strings.NewReader(`
# HELP cortex_ingester_out_of_order_labels_total Pushes refused because a series' labels were not sorted. A distributor sends that only if something is wrong with it.
# TYPE cortex_ingester_out_of_order_labels_total counter
cortex_ingester_out_of_order_labels_total{user="one"} 1
`)))
	answer, err := h.call(as("one"), "LabelValues", encode(t, "LabelValuesRequest", `{"name":"job","start":%d,"end":%d}`, now, now))
	require.NoError(t, err)
	require.Equal(t, []string{
		"beside bad UTF-8 name", "beside bad UTF-8 value", "beside duplicate label", "beside far future", "beside giant label",
		"beside no labels", "beside other value", "beside out of bounds", "beside out of order", "good",
	}, list(decode(t, "LabelValuesResponse", answer), "values"))
}

func oneSeriesValue(t testing.TB, at int64, v float64, labels ...string) []byte {
	return encode(t, "WriteRequest", `{"timeseries":[{"labels":[%s],"samples":[{"value":%v,"timestamp_ms":%d}]}]}`, strings.Join(labels, ","), v, at)
}

// requireStatus checks an error's code and the beginning of its text, and that a 4xx has the detail that makes it one.
func requireStatus(t testing.TB, err error, code codes.Code, text string) {
	t.Helper()
	require.Error(t, err)
	st := status.Convert(err)
	require.Equal(t, code, st.Code(), st.Message())
	require.True(t, strings.HasPrefix(st.Message(), text), st.Message())
	if code < 100 {
		require.Empty(t, st.Proto().Details)
		return
	}
	require.Len(t, st.Proto().Details, 1)
	require.Equal(t, "type.googleapis.com/httpgrpc.HTTPResponse", st.Proto().Details[0].TypeUrl)
	detail := decode(t, "HTTPResponse", st.Proto().Details[0].Value)
	require.EqualValues(t, code, get(detail, "code").Int())
	require.Equal(t, st.Message(), string(get(detail, "body").Bytes()))
}

// Our own trouble, whatever it is, is a code that makes senders come again; and it does not outlive its reason.
func TestOwnTrouble(t *testing.T) {
	h := newHarness(t, nil)
	good := writeRequest(t, 3, time.Now().UnixMilli())
	for _, c := range []struct {
		err  error
		code codes.Code
	}{
		{fmt.Errorf("tenant one: %w: the disk is full", engine.ErrUnavailable), codes.Unavailable},
		{errors.New("broken"), codes.Unknown},
	} {
		h.fail = c.err
		_, err := h.call(as("one"), "Push", good)
		requireStatus(t, err, c.code, c.err.Error())
	}
	h.fail = nil
	h.push(t, as("one"), good)

	// A caller that gives up gets its own code back at once, and the engine hears of it.
	gaveUp, returned := make(chan error, 1), make(chan struct{})
	h.during = func(ctx context.Context) {
		<-ctx.Done()
		gaveUp <- ctx.Err()
		<-returned
	}
	ctx, cancel := context.WithTimeout(as("one"), 20*time.Millisecond)
	defer cancel()
	_, err := h.call(ctx, "Push", good)
	requireStatus(t, err, codes.DeadlineExceeded, "")
	require.Error(t, <-gaveUp)
	close(returned)
}

// While the gate is shut everything is refused at once, in the words that say how long it will take.
func TestShutGate(t *testing.T) {
	h := newHarness(t, func(o *Options) {
		o.Gate = guard.NewGate(func() guard.Status { return guard.Status{Text: "replaying the log, 63 %", Left: time.Minute} })
	})
	for _, method := range []string{"Push", "LabelValues", "LabelNames", "MetricsForLabelMatchers", "MetricsMetadata", "UserStats", "AllUserStats", "QueryExemplars"} {
		_, err := h.call(as("one"), method, nil)
		requireStatus(t, err, codes.Unavailable, "not ready: replaying the log, 63 %")
	}
	for _, method := range []string{"QueryStream", "LabelValuesStream", "LabelNamesStream", "MetricsForLabelMatchersStream"} {
		_, err := h.stream(as("one"), method, nil)
		requireStatus(t, err, codes.Unavailable, "not ready: replaying the log, 63 %")
	}
}

// An instance that leaves the ring takes no pushes, by any method, and answers questions.
func TestNotAccepting(t *testing.T) {
	h := newHarness(t, nil)
	now := time.Now().UnixMilli()
	h.push(t, as("one"), writeRequest(t, 3, now))
	h.gate.AcceptIf(func() error { return errors.New("ingester a is LEAVING") }, nil)
	_, err := h.call(as("one"), "Push", writeRequest(t, 3, now+1))
	requireStatus(t, err, codes.Unavailable, "ingester a is LEAVING")
	code, text := exchange(t, pushStreamOf(t, h, as("one")), streamWrite("one", writeRequest(t, 3, now+1)))
	require.EqualValues(t, 500, code)
	require.Equal(t, "ingester a is LEAVING", text)
	answers, err := h.stream(as("one"), "QueryStream", encode(t, "QueryRequest", `{"start":%d,"end":%d,"matchers":[{"name":"__name__","value":"up"}]}`, now, now+1))
	require.NoError(t, err)
	require.Len(t, chunkSeries(t, decode(t, "QueryStreamResponse", answers...)), 3)
}

// Pushes beyond a limit are refused while others are in progress, and taken afterwards: nothing leaks.
func TestAdmission(t *testing.T) {
	good := writeRequest(t, 3, time.Now().UnixMilli())
	for name, limits := range map[string]guard.Limits{"requests": {MaxRequests: 1}, "bytes": {MaxBytes: int64(len(good)) * 3 / 2}} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.Admission = guard.NewAdmission(limits, prometheus.NewRegistry()) })
			inside, leave := make(chan struct{}), make(chan struct{})
			h.during = func(context.Context) {
				inside <- struct{}{}
				<-leave
			}
			first := make(chan error)
			go func() {
				_, err := h.call(as("one"), "Push", good)
				first <- err
			}()
			<-inside
			_, err := h.call(as("one"), "Push", good)
			requireStatus(t, err, codes.Unavailable, "cannot push: too many ")
			close(leave)
			require.NoError(t, <-first)
			go func() {
				for range inside {
				}
			}()
			for range 3 {
				h.push(t, as("one"), good)
			}
			close(inside)
		})
	}
}

// A tenant that is missing, given twice or no tenant at all is a fault of the cluster's settings, not of the data.
func TestTenants(t *testing.T) {
	now := time.Now().UnixMilli()
	for _, c := range []struct {
		required bool
		ids      []string
		code     codes.Code
		tenant   string
	}{
		{false, nil, codes.OK, "anonymous"},
		{true, nil, codes.Unknown, ""},
		{false, []string{"a"}, codes.OK, "a"},
		{true, []string{"a"}, codes.OK, "a"},
		{false, []string{"a", "b"}, codes.Unknown, ""},
		{false, []string{"../a"}, codes.Unknown, ""},
		{false, []string{strings.Repeat("a", 151)}, codes.Unknown, ""},
	} {
		h := newHarness(t, func(o *Options) { o.Tenancy.Required = c.required })
		ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{orgIDKey: c.ids})
		_, err := h.call(ctx, "Push", writeRequest(t, 1, now))
		require.Equal(t, c.code, status.Code(err), "%v", c)
		if c.code == codes.OK {
			require.Equal(t, []string{c.tenant}, h.Tenants())
		} else {
			require.Empty(t, h.Tenants())
		}
		_, err = h.stream(ctx, "QueryStream", nil)
		require.Equal(t, c.code, status.Code(err), "%v", c)
	}
}

// Reads that make no sense are the caller's fault: a querier answers 422 and asks no other ingester in vain.
func TestBadReads(t *testing.T) {
	h := newHarness(t, nil)
	for name, c := range map[string]struct{ request, json, text string }{
		"regexp":      {"QueryRequest", `{"matchers":[{"type":2,"name":"a","value":"("}]}`, "decode QueryRequest: field 3: error parsing regexp"},
		"type":        {"QueryRequest", `{"matchers":[{"type":4,"name":"a"}]}`, "decode QueryRequest: field 3: invalid matcher type"},
		"shard":       {"QueryRequest", `{"matchers":[{"name":"__CORTEX_SHARD_BY__","value":"%"}]}`, "matcher __CORTEX_SHARD_BY__="},
		"Mimir shard": {"QueryRequest", `{"matchers":[{"name":"__query_shard__","value":"3_of_2"}]}`, "matcher __query_shard__="},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.stream(as("one"), "QueryStream", encode(t, c.request, "%s", c.json))
			requireStatus(t, err, 400, c.text)
		})
	}
	for _, method := range []string{"LabelValues", "LabelNames", "MetricsForLabelMatchers", "MetricsMetadata", "QueryExemplars"} {
		_, err := h.call(as("one"), method, []byte("\x0a"))
		requireStatus(t, err, 400, "decode ")
	}
}

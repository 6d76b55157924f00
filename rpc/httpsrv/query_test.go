package httpsrv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/engine/promstore"
	"github.com/rekindledb/rekindle/rpc/guard"
)

// The query API answers under each prefix, for the tenant of the request and for no other.
func TestQueryAPI(t *testing.T) {
	h := newHarness(t, nil)
	for _, prefix := range queryPrefixes {
		for path, want := range map[string]string{
			"/query?query=up&time=30":                       `"value":[30,"1"]`,
			"/query?query=count_over_time(up[1m])&time=600": `"value":[600,"4"]`,
			"/query_range?query=up&start=0&end=60&step=30":  `"values":[[0,"1"],[30,"1"],[60,"1"]]`,
			"/labels":                      `["__name__","tenant"]`,
			"/label/tenant/values":         `["team-a"]`,
			"/series?match[]=up":           `[{"__name__":"up","tenant":"team-a"}]`,
			"/metadata":                    `"up":[{"type":"gauge","unit":"","help":"Help of team-a"},{"type":"unknown"`,
			"/metadata?metric=other":       `"data":{}`,
			"/metadata?limit=0":            `"data":{}`,
			"/query_exemplars?query=up":    `"data":[]`,
			"/format_query?query=sum( up)": `"sum(up)"`,
			"/parse_query?query=up":        `"type":"vectorSelector"`,
			"/status/buildinfo":            `"goVersion"`,
		} {
			path = strings.ReplaceAll(path, " ", "%20")
			resp, text := h.do(t, http.MethodGet, prefix+"/api/v1"+path, nil, "X-Scope-OrgID", "team-a")
			if resp.StatusCode != 200 || !strings.Contains(text, want) {
				t.Errorf("%s%s: %d %s, want %s", prefix, path, resp.StatusCode, text, want)
			}
		}
		form := url.Values{"query": {`up{tenant="team-a"}`}, "time": {"30"}}.Encode()
		resp, text := h.do(t, http.MethodPost, prefix+"/api/v1/query", strings.NewReader(form), "X-Scope-OrgID", "team-a", "Content-Type", "application/x-www-form-urlencoded")
		if resp.StatusCode != 200 || !strings.Contains(text, `"tenant":"team-a"`) {
			t.Errorf("POST %s/query: %d %s", prefix, resp.StatusCode, text)
		}
	}
	// Parts of Prometheus that are not here are not found, rather than answered for.
	for _, path := range []string{"/api/v1/targets", "/api/v1/rules", "/api/v1/admin/tsdb/snapshot", "/api/v1/otlp/v1/metrics"} {
		if resp, _ := h.do(t, http.MethodGet, path, nil); resp.StatusCode != 404 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// A tenant that has no data here gets an empty answer, not an error: queriers ask every ingester.
func TestQueryUnknownTenant(t *testing.T) {
	h := newHarness(t, nil)
	for _, path := range []string{"/api/v1/query?query=up", "/api/v1/labels", "/api/v1/label/job/values", "/api/v1/series?match[]=up"} {
		resp, text := h.do(t, http.MethodGet, path, nil, "X-Scope-OrgID", "nobody")
		if resp.StatusCode != 200 || strings.Contains(text, "tenant") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, text)
		}
	}
}

// The engine's own trouble is 503 in a query too, where Prometheus would say 422 or 500.
func TestQueryUnavailable(t *testing.T) {
	h := newHarness(t, func(o *Options) {
		o.Source = func(string) promstore.Source { return brokenSource{} }
	})
	for _, path := range []string{"/api/v1/query?query=up", "/api/v1/labels", "/api/v1/series?match[]=up"} {
		if resp, text := h.do(t, http.MethodGet, path, nil); resp.StatusCode != 503 {
			t.Errorf("%s: %d %s", path, resp.StatusCode, text)
		}
	}
}

type brokenSource struct{ fakeSource }

var errBroken = fmt.Errorf("read chunk file: %w", engine.ErrUnavailable)

func (brokenSource) Select(context.Context, int64, int64, ...*labels.Matcher) ([]engine.Series, error) {
	return nil, errBroken
}

func (brokenSource) SelectPart(context.Context, engine.Part, int64, int64, ...*labels.Matcher) ([]engine.Series, error) {
	return nil, errBroken
}

func (brokenSource) LabelNames(context.Context, int64, int64, int, ...*labels.Matcher) ([]string, error) {
	return nil, errBroken
}

// While the gate is shut, pushes and queries are told how long it will take; health and metrics are not asked to wait.
func TestNotReady(t *testing.T) {
	h := newHarness(t, func(o *Options) {
		o.Gate = guard.NewGate(func() guard.Status { return guard.Status{Text: "replaying the log, 63 %", Left: 3500e6} })
	})
	for _, path := range []string{"/ready", "/-/ready", "/api/v1/query?query=up", "/prometheus/api/v1/labels"} {
		resp, text := h.do(t, http.MethodGet, path, nil)
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "4" || text != "not ready: replaying the log, 63 %\n" {
			t.Errorf("%s: %d %q Retry-After %q", path, resp.StatusCode, text, resp.Header.Get("Retry-After"))
		}
	}
	if resp, text := h.do(t, http.MethodPost, "/api/v1/push", bytes.NewReader(bodyV1(t, 1))); resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "4" {
		t.Errorf("push: %d %s", resp.StatusCode, text)
	}
	if resp, _ := h.do(t, http.MethodGet, "/-/healthy", nil); resp.StatusCode != 200 {
		t.Errorf("healthy: %d", resp.StatusCode)
	}
}

// A query inside ends when the gate closes, so that a stop does not wait for it.
func TestGateCloseCancelsQueries(t *testing.T) {
	inside := make(chan struct{})
	h := newHarness(t, func(o *Options) {
		o.Source = func(string) promstore.Source { return slowSource{inside: inside} }
	})
	done := make(chan int)
	go func() {
		resp, _ := h.do(t, http.MethodGet, "/api/v1/query?query=up", nil)
		done <- resp.StatusCode
	}()
	<-inside
	if err := h.gate.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code/100 == 2 {
		t.Errorf("cancelled query answered %d", code)
	}
}

type slowSource struct {
	fakeSource
	inside chan struct{}
}

func (s slowSource) SelectPart(ctx context.Context, _ engine.Part, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error) {
	return s.Select(ctx, mint, maxt, ms...)
}

func (s slowSource) Select(ctx context.Context, _, _ int64, _ ...*labels.Matcher) ([]engine.Series, error) {
	close(s.inside)
	<-ctx.Done()
	return nil, ctx.Err()
}

// Remote read answers in both of its forms: all samples in one message, and a stream of frames of chunks.
func TestRemoteRead(t *testing.T) {
	h := newHarness(t, nil)
	ask := func(accept ...prompb.ReadRequest_ResponseType) (*http.Response, string) {
		b, err := (&prompb.ReadRequest{
			Queries: []*prompb.Query{{
				StartTimestampMs: 0, EndTimestampMs: 60_000,
				Matchers: []*prompb.LabelMatcher{{Type: prompb.LabelMatcher_EQ, Name: "__name__", Value: "up"}},
			}},
			AcceptedResponseTypes: accept,
		}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return h.do(t, http.MethodPost, "/prometheus/api/v1/read", bytes.NewReader(snappy.Encode(nil, b)), "Content-Encoding", "snappy")
	}

	resp, text := ask()
	raw, err := snappy.Decode(nil, []byte(text))
	if err != nil {
		t.Fatalf("%d %q: %v", resp.StatusCode, text, err)
	}
	var sampled prompb.ReadResponse
	if err := sampled.Unmarshal(raw); err != nil {
		t.Fatal(err)
	}
	if got := sampled.Results[0].Timeseries; len(got) != 1 || len(got[0].Samples) != 5 {
		t.Errorf("sampled: %v", got)
	}

	resp, text = ask(prompb.ReadRequest_STREAMED_XOR_CHUNKS)
	if resp.StatusCode != 200 {
		t.Fatalf("streamed: %d %s", resp.StatusCode, text)
	}
	var times []int64
	frames := remote.NewChunkedReader(strings.NewReader(text), 1<<20, nil)
	for {
		var frame prompb.ChunkedReadResponse
		if err := frames.NextProto(&frame); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, c := range frame.ChunkedSeries[0].Chunks {
			xor, err := chunkenc.FromData(chunkenc.EncXOR, c.Data)
			if err != nil {
				t.Fatal(err)
			}
			for it := xor.Iterator(nil); it.Next() != chunkenc.ValNone; {
				times = append(times, it.AtT())
			}
		}
	}
	if !slices.Equal(times, []int64{0, 15000, 30000, 45000, 60000}) {
		t.Errorf("streamed: %v", times)
	}
}

// What operators look at: the page that needs nothing from elsewhere, settings in three forms, states.
func TestPages(t *testing.T) {
	h := newHarness(t, nil)
	for path, want := range map[string]string{
		"/":                     "<title>Rekindle",
		"/config":               "a: 1",
		"/config?mode=defaults": "d: 4",
		"/config?mode=diff":     "b:\n    d: 3\n",
		"/services":             "engine => Running\nserver => Running\n",
	} {
		resp, text := h.do(t, http.MethodGet, path, nil)
		if resp.StatusCode != 200 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, text)
		}
	}
	if resp, text := h.do(t, http.MethodGet, "/config?mode=x", nil); resp.StatusCode != 400 {
		t.Errorf("/config?mode=x: %d %s", resp.StatusCode, text)
	}
	if _, text := h.do(t, http.MethodGet, "/", nil); strings.Contains(text, "src=\"http") || strings.Contains(text, "url(http") {
		t.Error("the page loads something from elsewhere")
	}
}

// A limit bounds families, limit_per_metric what is said of each, and what is no number is named.
func TestMetadataLimits(t *testing.T) {
	h := newHarness(t, nil)
	for query, want := range map[string]string{"": "2 3", "limit=1": "1 2", "limit_per_metric=1": "2 2", "limit=0": "0 0", "metric=requests_total": "1 1"} {
		var got struct{ Data map[string][]any }
		_, text := h.do(t, http.MethodGet, "/api/v1/metadata?"+query, nil)
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%s: %v %s", query, err, text)
		}
		entries := 0
		for _, list := range got.Data {
			entries += len(list)
		}
		if s := fmt.Sprint(len(got.Data), entries); s != want {
			t.Errorf("%s: families and entries are %s, want %s", query, s, want)
		}
	}
	if resp, text := h.do(t, http.MethodGet, "/api/v1/metadata?limit=x", nil); resp.StatusCode != 400 || !strings.Contains(text, "limit must be a number") {
		t.Errorf("limit=x: %d %s", resp.StatusCode, text)
	}
}

package httpsrv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/guard"
)

const contentTypeV2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"

func bodyV1(t *testing.T, samples int) []byte {
	t.Helper()
	ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: "up"}}}
	for i := range samples {
		ts.Samples = append(ts.Samples, prompb.Sample{Timestamp: int64(1000 * i), Value: float64(i)})
	}
	b, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{ts}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return s2.EncodeSnappy(nil, b)
}

func bodyV2(t *testing.T) []byte {
	t.Helper()
	b, err := (&writev2.Request{
		Symbols: []string{"", "__name__", "up"},
		Timeseries: []writev2.TimeSeries{{
			LabelsRefs: []uint32{1, 2},
			Samples:    []writev2.Sample{{Timestamp: 1000, Value: 1}, {Timestamp: 2000, Value: 2}},
		}},
	}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return s2.EncodeSnappy(nil, b)
}

// Every path takes both versions of the protocol; the version is what Content-Type says, in any spelling that
// HTTP allows; 2.0 is told how much was written.
func TestPushNegotiation(t *testing.T) {
	h := newHarness(t, nil)
	one, two := bodyV1(t, 3), bodyV2(t)
	for _, path := range pushPaths {
		for _, c := range []struct {
			contentType, encoding string
			body                  []byte
			code                  int
			written               string
		}{
			{"", "", one, 200, ""},
			{"application/x-protobuf", "snappy", one, 200, ""},
			{"application/x-protobuf;proto=prometheus.WriteRequest", "snappy", one, 200, ""},
			{contentTypeV2, "snappy", two, 204, "2"},
			{"application/x-protobuf; proto=io.prometheus.write.v2.Request", "snappy", two, 204, "2"},
			{"Application/X-Protobuf ; Proto=\"io.prometheus.write.v2.Request\"", "", two, 204, "2"},
			{"application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy", two, 415, ""},
			{"application/json", "snappy", one, 415, ""},
			{";;", "snappy", one, 415, ""},
			{"application/x-protobuf", "gzip", one, 415, ""},
			{"application/x-protobuf", "snappy", []byte("no snappy"), 400, ""},
			{contentTypeV2, "snappy", []byte("no snappy"), 400, "0"},
		} {
			resp, text := h.do(t, http.MethodPost, path, bytes.NewReader(c.body), "Content-Type", c.contentType, "Content-Encoding", c.encoding)
			name := fmt.Sprintf("%s %q %q", path, c.contentType, c.encoding)
			if resp.StatusCode != c.code {
				t.Errorf("%s: status %d %s, want %d", name, resp.StatusCode, text, c.code)
			}
			if got := resp.Header.Get("X-Prometheus-Remote-Write-Samples-Written"); got != c.written {
				t.Errorf("%s: %q samples written, want %q", name, got, c.written)
			}
		}
	}
}

// Each way in which Append can end has its status: a sender drops what is answered 4xx and repeats 5xx.
func TestPushStatusOfErrors(t *testing.T) {
	for _, c := range []struct {
		err        error
		code       int
		text       string
		retryAfter string
	}{
		{nil, 200, "", ""},
		{&engine.SampleError{Reason: engine.ReasonOutOfOrder, Text: "user=anonymous: err: out of order sample"}, 400, "user=anonymous: err: out of order sample", ""},
		{fmt.Errorf("tenant: %w", engine.ErrBadTenant), 400, "bad tenant id", ""},
		{fmt.Errorf("%w: disk is full", engine.ErrUnavailable), 503, "disk is full", "1"},
		{errors.New("nobody foresaw this"), 500, "nobody foresaw this", ""},
	} {
		h := newHarness(t, nil)
		h.err = c.err
		resp, text := h.do(t, http.MethodPost, "/api/v1/push", bytes.NewReader(bodyV1(t, 1)))
		if resp.StatusCode != c.code || !strings.Contains(text, c.text) || resp.Header.Get("Retry-After") != c.retryAfter {
			t.Errorf("%v: %d %q Retry-After %q, want %d %q %q", c.err, resp.StatusCode, text, resp.Header.Get("Retry-After"), c.code, c.text, c.retryAfter)
		}
	}
}

// A body that is, or declares to be, too large is refused before memory is taken for it, also when it does not
// announce its size.
func TestPushBodyTooLarge(t *testing.T) {
	h := newHarness(t, nil)
	large := make([]byte, 1<<20+1)
	bomb := []byte{0x80, 0x80, 0x80, 0x80, 0x01} // Snappy's header of 256 MiB
	for name, body := range map[string]io.Reader{
		"announced":     bytes.NewReader(large),
		"chunked":       io.MultiReader(bytes.NewReader(large)),
		"decompression": bytes.NewReader(bomb),
	} {
		if resp, text := h.do(t, http.MethodPost, "/api/v1/push", body); resp.StatusCode != 400 {
			t.Errorf("%s: %d %s", name, resp.StatusCode, text)
		}
	}
	if len(h.tenants) != 0 {
		t.Errorf("stored %d", len(h.tenants))
	}
}

// The header decides whose samples these are, also without authentication. What is no tenant id never gets near a path.
func TestPushTenant(t *testing.T) {
	for _, c := range []struct {
		required bool
		header   string
		code     int
		tenant   string
	}{
		{false, "", 200, "anonymous"},
		{false, "team-a", 200, "team-a"},
		{true, "", 401, ""},
		{true, "team-a", 200, "team-a"},
		{true, "(it's).fine_*!", 200, "(it's).fine_*!"},
		{true, "@rekindle", 400, ""},
		{true, "..", 400, ""},
		{true, ".", 400, ""},
		{true, "a/b", 400, ""},
		{true, "a|b", 400, ""},
		{true, "__markers__", 400, ""},
		{true, "user-index.json.gz", 400, ""},
		{true, strings.Repeat("x", 150), 200, strings.Repeat("x", 150)},
		{true, strings.Repeat("x", 151), 400, ""},
	} {
		h := newHarness(t, func(o *Options) { o.Tenancy.Required = c.required })
		resp, text := h.do(t, http.MethodPost, "/api/v1/push", bytes.NewReader(bodyV1(t, 1)), "X-Scope-OrgID", c.header)
		if resp.StatusCode != c.code || (c.tenant != "") != (len(h.tenants) == 1) || c.tenant != "" && h.tenants[0] != c.tenant {
			t.Errorf("required=%v %q: %d %q, tenants %q", c.required, c.header, resp.StatusCode, text, h.tenants)
		}
		if resp, _ := h.do(t, http.MethodGet, "/api/v1/labels", nil, "X-Scope-OrgID", c.header); resp.StatusCode != c.code {
			t.Errorf("query, required=%v %q: %d", c.required, c.header, resp.StatusCode)
		}
	}
}

// Requests beyond a limit are refused with 503 while others are in progress, and taken afterwards: nothing leaks.
func TestPushAdmission(t *testing.T) {
	for name, limit := range map[string]guard.Limits{
		"requests": {MaxRequests: 1},
		"bytes":    {MaxBytes: int64(3 * len(bodyV1(t, 1)))},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.Admission = guard.NewAdmission(limit, prometheus.NewRegistry()) })
			inside, leave := make(chan struct{}), make(chan struct{})
			h.during = func(context.Context) {
				close(inside)
				<-leave
			}
			first := make(chan int)
			go func() {
				resp, _ := h.do(t, http.MethodPost, "/push", bytes.NewReader(bodyV1(t, 1)))
				first <- resp.StatusCode
			}()
			<-inside
			h.during = nil
			if resp, text := h.do(t, http.MethodPost, "/push", bytes.NewReader(bodyV1(t, 1))); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
				t.Errorf("second: %d %s", resp.StatusCode, text)
			}
			close(leave)
			if code := <-first; code != 200 {
				t.Errorf("first: %d", code)
			}
			for range 3 {
				if resp, text := h.do(t, http.MethodPost, "/push", bytes.NewReader(bodyV1(t, 1))); resp.StatusCode != 200 {
					t.Errorf("after: %d %s", resp.StatusCode, text)
				}
			}
		})
	}
}

// A sender that breaks off in the middle of a body is told to come again, were it still there: never 4xx.
func TestPushBrokenBody(t *testing.T) {
	h := newHarness(t, nil)
	_, err := http.Post(h.URL+"/push", "", io.MultiReader(strings.NewReader("x"), brokenReader{}))
	if err == nil {
		t.Fatal("the body was taken")
	}
	if b, err := readAll(nil, io.MultiReader(strings.NewReader("abc"), brokenReader{}), -1, 100); err == nil || string(b) != "abc" {
		t.Errorf("%q %v", b, err)
	}
	if _, err := readAll(nil, strings.NewReader("abc"), 4, 100); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short body: %v", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("cable pulled") }

// Closing the gate waits for the pushes inside, whose answers count, and refuses those that come.
func TestGateCloseWaitsForPushes(t *testing.T) {
	h := newHarness(t, nil)
	inside, leave := make(chan struct{}), make(chan struct{})
	h.during = func(context.Context) {
		close(inside)
		<-leave
	}
	first := make(chan int)
	go func() {
		resp, _ := h.do(t, http.MethodPost, "/push", bytes.NewReader(bodyV1(t, 1)))
		first <- resp.StatusCode
	}()
	<-inside
	soon, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := h.gate.Close(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("closed with a push inside: %v", err)
	}
	if resp, text := h.do(t, http.MethodPost, "/push", bytes.NewReader(bodyV1(t, 1))); resp.StatusCode != 503 || !strings.Contains(text, "stopping") {
		t.Errorf("push while closing: %d %s", resp.StatusCode, text)
	}
	close(leave)
	if code := <-first; code != 200 {
		t.Errorf("push inside: %d", code)
	}
	if err := h.gate.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if h.gate.Open(); h.gate.Enter() == nil {
		t.Error("a closed gate opened again")
	}
}

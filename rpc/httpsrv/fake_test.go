package httpsrv

import (
	"context"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/engine/promstore"
	"github.com/rekindledb/rekindle/rpc/guard"
	"github.com/rekindledb/rekindle/rpc/wire"
)

// fake is a Store that keeps nothing but what it was told, and answers as it is told to.
type fake struct {
	mu      sync.Mutex
	tenants []string // of the pushes, in order
	samples []engine.Sample
	err     error
	during  func(context.Context) // called inside Append
	discard bool                  // keep nothing
}

func (f *fake) Append(ctx context.Context, tenant string, b *engine.Batch) (int, error) {
	if f.during != nil {
		f.during(ctx)
	}
	if err := b.Fill(); err != nil {
		return 0, err
	}
	if f.discard {
		return len(b.Samples), nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tenants = append(f.tenants, tenant)
	f.samples = append(f.samples, b.Samples...)
	return len(b.Samples), f.err
}

func (f *fake) Metadata(tenant, family string, yield func(string, []engine.Description) bool) {
	if (family == "" || family == "up") && !yield("up", []engine.Description{{Type: 2, Help: "Help of " + tenant}, {Type: 0}}) {
		return
	}
	if family == "" || family == "requests_total" {
		yield("requests_total", []engine.Description{{Type: 1}})
	}
}

// fakeSource has one series, up{tenant="..."}, that is 1 every 15 s from 0 to 600 s.
type fakeSource struct{ tenant string }

func (f fakeSource) Select(_ context.Context, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error) {
	lset := labels.FromStrings("__name__", "up", "tenant", f.tenant)
	for _, m := range ms {
		if !m.Matches(lset.Get(m.Name)) {
			return nil, nil
		}
	}
	if maxt < 0 || mint > 600_000 {
		return nil, nil
	}
	c := chunkenc.NewXORChunk()
	app, err := c.Appender()
	if err != nil {
		return nil, err
	}
	for t := int64(0); t <= 600_000; t += 15_000 {
		app.Append(0, t, 1)
	}
	return []engine.Series{{Labels: lset, Chunks: []engine.Chunk{{MinT: 0, MaxT: 600_000, Enc: chunkenc.EncXOR, Data: c.Bytes()}}}}, nil
}

func (f fakeSource) SelectPart(ctx context.Context, _ engine.Part, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error) {
	return f.Select(ctx, mint, maxt, ms...)
}

func (f fakeSource) LabelNames(context.Context, int64, int64, int, ...*labels.Matcher) ([]string, error) {
	return []string{"__name__", "tenant"}, nil
}

func (f fakeSource) LabelValues(_ context.Context, name string, _, _ int64, _ int, _ ...*labels.Matcher) ([]string, error) {
	return map[string][]string{"__name__": {"up"}, "tenant": {f.tenant}}[name], nil
}

// harness is a Server over a fake, with the gate open.
type harness struct {
	*fake
	*httptest.Server
	gate   *guard.Gate
	reg    *prometheus.Registry
	status guard.Status
}

func newHarness(t *testing.T, change func(*Options)) *harness {
	t.Helper()
	h := &harness{fake: &fake{}, reg: prometheus.NewRegistry()}
	h.gate = guard.NewGate(func() guard.Status { return h.status })
	h.gate.Open()
	decoder := wire.DefaultOptions()
	decoder.MaxMessageSize = 1 << 20
	o := Options{
		Store: h.fake,
		Source: func(tenant string) promstore.Source {
			if tenant == "nobody" {
				return nil
			}
			return fakeSource{tenant}
		},
		Gate:       h.gate,
		Rates:      new(guard.Rates),
		Admission:  guard.NewAdmission(guard.Limits{}, prometheus.NewRegistry()),
		Tenancy:    guard.Tenancy{Default: "anonymous"},
		Decoder:    decoder,
		Query:      QueryOptions{MaxConcurrent: 4, MaxSamples: math.MaxInt32, Timeout: time.Minute, LookbackDelta: 5 * time.Minute},
		Config:     map[string]any{"a": 1, "b": map[string]any{"c": 2, "d": 3}},
		Defaults:   map[string]any{"a": 1, "b": map[string]any{"c": 2, "d": 4}},
		Services:   func() map[string]string { return map[string]string{"engine": "Running", "server": "Running"} },
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
		Registerer: h.reg,
		Gatherer:   h.reg,
	}
	if change != nil {
		change(&o)
	}
	r := mux.NewRouter()
	New(o, r)
	h.Server = httptest.NewServer(r)
	t.Cleanup(h.Server.Close)
	return h
}

// do sends a request and returns the answer with its body.
func (h *harness) do(t *testing.T, method, path string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, h.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

package httpsrv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/rekindledb/rekindle/rpc/guard"
	"github.com/rekindledb/rekindle/rpc/ring"
)

// fakeOperator notes what it was asked for.
type fakeOperator struct {
	did      []string
	mode     ring.State
	prepared bool
	err      error
}

func (f *fakeOperator) note(format string, args ...any) error {
	f.did = append(f.did, fmt.Sprintf(format, args...))
	return f.err
}

func (f *fakeOperator) Mode() (ring.State, time.Time) { return f.mode, time.Unix(1000, 0) }

func (f *fakeOperator) SetMode(_ context.Context, m ring.State) error {
	f.mode = m
	return f.note("mode %s", m)
}

func (f *fakeOperator) RenewTokens(_ context.Context, part float64) error {
	return f.note("renew %v", part)
}

func (f *fakeOperator) PrepareShutdown(on bool) error {
	f.prepared = on
	return f.note("prepare %v", on)
}
func (f *fakeOperator) ShutdownPrepared() (bool, error)            { return f.prepared, nil }
func (f *fakeOperator) Flush(_ context.Context, ts []string) error { return f.note("flush %q", ts) }
func (f *fakeOperator) Shutdown(context.Context) error             { return f.note("shutdown") }
func (f *fakeOperator) Forget(_ context.Context, id string) error  { return f.note("forget %s", id) }
func (*fakeOperator) HeartbeatTimeout() time.Duration              { return time.Minute }

func (*fakeOperator) Tenants() []TenantStats {
	return []TenantStats{{Tenant: "small", NumSeries: 1}, {Tenant: "<big>", NumSeries: 2, IngestionRate: 9}}
}

func (*fakeOperator) Look(context.Context) (*ring.Desc, error) {
	d, now := ring.NewDesc(), time.Now().Unix()
	d.Instances["a"] = ring.Instance{Addr: "a:1", Tokens: []uint32{0, 1 << 30}, Timestamp: now, Registered: 1_600_000_000, Zone: "<z>"}
	d.Instances["b"] = ring.Instance{Addr: "b:1", State: ring.ReadOnly, Tokens: []uint32{1 << 31}, Timestamp: now - 100}
	return d, nil
}

func operatorServer(t *testing.T, f *fakeOperator, byGet bool, logs *bytes.Buffer) *httptest.Server {
	gate := guard.NewGate(func() guard.Status { return guard.Status{} })
	gate.Open()
	r := mux.NewRouter()
	RouteOperator(OperatorOptions{
		Operator: f, Gate: gate, ChangeByGet: byGet,
		Memberlist: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "no memberlist") }),
		Logger:     slog.New(slog.NewTextHandler(logs, nil)),
	}, r)
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	return s
}

func ask(t *testing.T, method, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	_, _ = b.ReadFrom(resp.Body)
	return resp.StatusCode, b.String()
}

// Each path does what its name says, answers as documented, and changes are logged with their caller while looks are not.
func TestOperatorPaths(t *testing.T) {
	for _, c := range []struct {
		call string
		code int
		text string // part of it
		did  string // all of it
	}{
		{"GET /flush?wait=true", 204, "", `[flush []]`},
		{"POST /ingester/flush?wait=true&tenant=a&tenant=b", 204, "", `[flush ["a" "b"]]`},
		{"POST /flush?%zz", 400, "form", `[]`},
		{"GET /shutdown", 204, "", `[shutdown]`},
		{"POST /ingester/shutdown", 204, "", `[shutdown]`},
		{"GET /ingester/mode?mode=readonly", 200, "Ingester mode READONLY", `[mode READONLY]`},
		{"POST /ingester/mode?mode=Active", 200, "Ingester mode ACTIVE", `[mode ACTIVE]`},
		{"POST /ingester/mode?mode=LEAVING", 400, `"LEAVING" is unknown`, `[]`},
		{"POST /ingester/mode", 400, "is unknown", `[]`},
		{"GET /ingester/renewTokens", 204, "", `[renew 0.1]`},
		{"GET /ingester/prepare-shutdown", 200, "unset", `[]`},
		{"POST /ingester/prepare-shutdown", 204, "", `[prepare true]`},
		{"DELETE /ingester/prepare-shutdown", 204, "", `[prepare false]`},
		{"GET /ingester/prepare-instance-ring-downscale", 200, `{"timestamp":0}`, `[]`},
		{"POST /ingester/prepare-instance-ring-downscale", 200, `{"timestamp":1000}`, `[mode READONLY]`},
		{"DELETE /ingester/prepare-instance-ring-downscale", 200, `{"timestamp":0}`, `[mode ACTIVE]`},
		{"POST /ingester/prepare-partition-downscale", 404, "no partitions", `[]`},
		{"GET /memberlist", 200, "no memberlist", `[]`},
		{"POST /ring?forget=b", 302, "", `[forget b]`},
		{"GET /ring", 200, "&lt;z&gt;", `[]`},
		{"GET /ingester/ring?tokens=true", 200, "2147483648", `[]`},
		{"GET /ingester/all_user_stats", 200, "&lt;big&gt;", `[]`},
	} {
		var logs bytes.Buffer
		f := &fakeOperator{}
		s := operatorServer(t, f, true, &logs)
		method, path, _ := strings.Cut(c.call, " ")
		code, text := ask(t, method, s.URL+path, "User-Agent", "roller")
		if did := fmt.Sprint(f.did); code != c.code || !strings.Contains(text, c.text) || did != c.did {
			t.Errorf("%s: %d %.300q, did %s", c.call, code, text, did)
		}
		if changed := c.did != "[]"; changed && (!strings.Contains(logs.String(), "caller=127.0.0.1:") || !strings.Contains(logs.String(), "user_agent=roller")) {
			t.Errorf("%s: the caller is not logged: %s", c.call, &logs)
		} else if !changed && method == http.MethodGet && logs.Len() > 0 {
			t.Errorf("%s: a look is logged: %s", c.call, &logs)
		}
	}
}

// One switch takes GET away from everything that changes something.
func TestChangeByGetOff(t *testing.T) {
	f := &fakeOperator{}
	s := operatorServer(t, f, false, &bytes.Buffer{})
	for _, path := range []string{"/flush?wait=true", "/ingester/flush?wait=true", "/shutdown", "/ingester/shutdown", "/ingester/mode?mode=READONLY", "/ingester/renewTokens"} {
		if code, _ := ask(t, http.MethodGet, s.URL+path); code != http.StatusMethodNotAllowed || len(f.did) > 0 {
			t.Errorf("GET %s: %d, did %v", path, code, f.did)
		}
		if code, _ := ask(t, http.MethodPost, s.URL+path); code/100 != 2 {
			t.Errorf("POST %s: %d", path, code)
		}
		f.did = nil
	}
}

// Failures are told, except that a flush is always 204.
func TestOperatorFailures(t *testing.T) {
	f := &fakeOperator{err: errors.New("broken")}
	var logs bytes.Buffer
	s := operatorServer(t, f, true, &logs)
	for path, want := range map[string]int{
		"/shutdown": 500, "/ingester/mode?mode=ACTIVE": 400, "/ingester/renewTokens": 503,
		"/ingester/prepare-shutdown": 503, "/ingester/prepare-instance-ring-downscale": 503, "/ring": 500, "/flush?wait=true": 204,
	} {
		if code, text := ask(t, http.MethodPost, s.URL+path); code != want || code != 204 && !strings.Contains(text, "broken") {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if !strings.Contains(logs.String(), "flush failed") {
		t.Error("a flush that failed is not logged")
	}
}

// Scripts read the JSON of Cortex's pages.
func TestPagesAsJSON(t *testing.T) {
	s := operatorServer(t, &fakeOperator{}, true, &bytes.Buffer{})
	_, text := ask(t, http.MethodGet, s.URL+"/ring", "Accept", "application/json")
	var page struct {
		Shards []struct {
			ID, State, Address, Timestamp, Zone string
			Registered                          string `json:"registered_timestamp"`
			Tokens                              []uint32
		}
		Now, StorageLastUpdated time.Time
	}
	if err := json.Unmarshal([]byte(text), &page); err != nil || len(page.Shards) != 2 || page.Now.IsZero() || page.StorageLastUpdated.IsZero() {
		t.Fatalf("%v: %s", err, text)
	}
	if a, b := page.Shards[0], page.Shards[1]; a.ID != "a" || a.State != "ACTIVE" || len(a.Tokens) != 2 || !strings.HasPrefix(a.Registered, "2020-09-13") ||
		b.State != "Unhealthy" || b.Registered != "" {
		t.Errorf("%+v", page)
	}
	_, text = ask(t, http.MethodGet, s.URL+"/ingester/all_user_stats", "Accept", "application/json")
	if !strings.HasPrefix(text, `[{"userID":"\u003cbig\u003e","ingestionRate":9,"numSeries":2,`) {
		t.Error(text)
	}
}

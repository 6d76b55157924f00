package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/guard"
	"github.com/rekindledb/rekindle/rpc/metrics"
)

// slowDB is a database whose recovery ends when the test says so.
type slowDB struct {
	openErr   error
	recovered chan struct{}
	opened    atomic.Bool
	closed    atomic.Bool
}

func (d *slowDB) open() (string, error) {
	d.opened.Store(true)
	return "slow", d.openErr
}

func (d *slowDB) recover(ctx context.Context) error {
	select {
	case <-d.recovered:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *slowDB) close() error {
	d.closed.Store(true)
	return nil
}

func (*slowDB) status() guard.Status {
	return guard.Status{Text: "reading images, 40 %", Left: time.Second}
}
func (*slowDB) source(string) metrics.Source                                     { return nil }
func (*slowDB) Append(context.Context, string, *engine.Batch) (int, error)       { return 0, nil }
func (*slowDB) Metadata(string, string, func(string, []engine.Description) bool) {}
func (*slowDB) flush(context.Context, []string) error                            { return nil }
func (*slowDB) takeIn(context.Context, string, *engine.Batch) (engine.TakenIn, error) {
	return engine.TakenIn{}, nil
}

func (*slowDB) stream(string) func(context.Context, int64, int64, func([]engine.KeyedSeries) error) error {
	return nil
}
func (*slowDB) save(context.Context) error       { return nil }
func (*slowDB) Tenants() []string                { return nil }
func (*slowDB) Stats(string, *engine.Stats) bool { return false }
func (*slowDB) Active(string) uint64             { return 0 }
func (*slowDB) Describe(chan<- *prometheus.Desc) {}
func (*slowDB) Collect(chan<- prometheus.Metric) {}

// instance is run in a goroutine, on ports of its own.
type instance struct {
	url, grpc string
	signal    context.CancelFunc
	ended     chan error
}

func startInstance(t *testing.T, db database, flags ...string) *instance {
	t.Helper()
	o, err := load(append([]string{
		"-server.http-listen-address=127.0.0.1", "-server.http-listen-port=0",
		"-server.grpc-listen-address=127.0.0.1", "-server.grpc-listen-port=0",
	}, flags...))
	if err != nil {
		t.Fatal(err)
	}
	logs := &logLines{line: make(chan string, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	i := &instance{signal: cancel, ended: make(chan error, 1)}
	go func() { i.ended <- run(ctx, o, slog.New(slog.NewTextHandler(logs, nil)), db) }()
	t.Cleanup(cancel)
	for {
		select {
		case err := <-i.ended:
			i.ended <- err
			return i
		case line := <-logs.line:
			if _, rest, ok := strings.Cut(line, "msg=listening url="); ok {
				i.url, i.grpc, _ = strings.Cut(strings.TrimSpace(rest), " grpc=")
				return i
			}
		}
	}
}

// logLines hands each line of a log on, as long as somebody takes them.
type logLines struct {
	mu   sync.Mutex
	line chan string
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.line <- string(p):
	default:
	}
	return len(p), nil
}

func (i *instance) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get(i.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (i *instance) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-i.ended:
		return err
	case <-time.After(patience):
		t.Fatal("does not end")
		return nil
	}
}

// While the engine recovers the process is alive, measurable, and says how far it is; it is ready when recovery ends,
// and a signal then ends it in order.
func TestRecoveryIsVisible(t *testing.T) {
	db := &slowDB{recovered: make(chan struct{})}
	i := startInstance(t, db)
	for path, want := range map[string]struct {
		code int
		text string
	}{
		"-/healthy":      {200, "healthy"},
		"metrics":        {200, "cortex_build_info"},
		"ready":          {503, "reading images, 40 %"},
		"services":       {200, "engine => Starting\nmemberlist => Running\nserver => Running"},
		"api/v1/labels":  {503, "reading images"},
		"debug/pprof/":   {200, "goroutine"},
		"config?mode=":   {200, "wal_dir: ./data"},
		"does/not/exist": {404, ""},
	} {
		if code, text := i.get(t, path); code != want.code || !strings.Contains(text, want.text) {
			t.Errorf("%s: %d %.200s", path, code, text)
		}
	}
	conn, err := grpc.NewClient(i.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	health := func() grpc_health_v1.HealthCheckResponse_ServingStatus {
		r, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return r.Status
	}
	if s := health(); s != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("gRPC health while recovering: %v", s)
	}

	close(db.recovered)
	eventually(t, patience, "ready", func() (bool, string) {
		code, text := i.get(t, "ready")
		return code == 200 && health() == grpc_health_v1.HealthCheckResponse_SERVING, text
	})
	_, metrics := i.get(t, "metrics")
	for _, name := range []string{"cortex_request_duration_seconds_count{", `route="ready"`, "cortex_tcp_connections{", "cortex_ingester_inflight_push_requests", "go_goroutines", "process_start_time_seconds"} {
		if !strings.Contains(metrics, name) {
			t.Errorf("metrics lack %s", name)
		}
	}
	i.signal()
	if err := i.wait(t); err != nil || !db.closed.Load() {
		t.Errorf("stop: %v, database closed: %v", err, db.closed.Load())
	}
}

// A signal during recovery ends the process at once and without a complaint.
func TestSignalDuringRecovery(t *testing.T) {
	db := &slowDB{recovered: make(chan struct{})}
	i := startInstance(t, db)
	for !db.opened.Load() {
		time.Sleep(time.Millisecond)
	}
	i.signal()
	if err := i.wait(t); err != nil || !db.closed.Load() {
		t.Errorf("stop: %v, database closed: %v", err, db.closed.Load())
	}
}

// What is wrong with the directory is said also when the port is taken as well.
func TestPortAndDirectoryTaken(t *testing.T) {
	first := startInstance(t, &slowDB{recovered: make(chan struct{})})
	port := first.url[strings.LastIndex(first.url, ":")+1 : len(first.url)-1]
	held := errors.New("held by process 1")
	err := startInstance(t, &slowDB{openErr: held}, "-server.http-listen-port="+port).wait(t)
	if !errors.Is(err, held) || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
	err = startInstance(t, &slowDB{openErr: held}).wait(t)
	if !errors.Is(err, held) {
		t.Errorf("got %v", err)
	}
	first.signal()
	if err := first.wait(t); err != nil {
		t.Error(err)
	}
}

package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/prompb"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// startReal runs the real engine on dir and waits until it is ready.
func startReal(t *testing.T, dir string, flags ...string) *instance {
	t.Helper()
	flags = append([]string{"-ingester.wal-dir=" + dir}, flags...)
	o, err := load(flags)
	if err != nil {
		t.Fatal(err)
	}
	i := startInstance(t, newStore(o, quiet()), flags...)
	if i.url == "" {
		t.Fatal(i.wait(t))
	}
	eventually(t, patience, "ready", func() (bool, string) { code, text := i.get(t, "ready"); return code == http.StatusOK, text })
	return i
}

func (i *instance) stop(t *testing.T) {
	t.Helper()
	i.signal()
	if err := i.wait(t); err != nil {
		t.Fatal(err)
	}
}

// push sends one sample of a series and returns the answer.
func (i *instance) push(t *testing.T, tenant, metric string, at time.Time, v float64) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, i.url+"api/v1/push", pushBody(t, metric, at, v))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Scope-OrgID", tenant)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func pushBody(t *testing.T, metric string, at time.Time, v float64) io.Reader {
	t.Helper()
	b, err := (&prompb.WriteRequest{
		Timeseries: []prompb.TimeSeries{{
			Labels:  []prompb.Label{{Name: "__name__", Value: metric}, {Name: "job", Value: "test"}},
			Samples: []prompb.Sample{{Timestamp: at.UnixMilli(), Value: v}},
		}},
		Metadata: []prompb.MetricMetadata{{Type: prompb.MetricMetadata_GAUGE, MetricFamilyName: metric, Help: "A test."}},
	}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(s2.EncodeSnappy(nil, b))
}

// expect asks a query of the default tenant.
func (i *instance) expect(t *testing.T, query string, at time.Time, want string) {
	t.Helper()
	q := url.Values{"query": {query}, "time": {fmt.Sprint(at.Unix())}}
	if code, text := i.get(t, "prometheus/api/v1/query?"+q.Encode()); code != http.StatusOK || !strings.Contains(text, want) {
		t.Errorf("%s: %d %s, want %s", query, code, text, want)
	}
}

// What was pushed is answered, before and after a clean restart; each tenant has its own; bad samples are named
// while good ones are kept; the numbers on /metrics say so.
func TestPushQueryRestart(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().Truncate(time.Second)
	i := startReal(t, dir)
	for k := range 10 {
		if code, text := i.push(t, "", "up", now.Add(time.Duration(k-10)*time.Second), float64(k)); code != http.StatusOK {
			t.Fatalf("push: %d %s", code, text)
		}
	}
	if code, text := i.push(t, "other", "up", now, 77); code != http.StatusOK {
		t.Fatalf("push: %d %s", code, text)
	}
	if code, text := i.push(t, "", "up", now.Add(-time.Second), 99); code != http.StatusBadRequest || !strings.HasPrefix(text, "user=anonymous: err: duplicate sample for timestamp") {
		t.Errorf("another value for a timestamp: %d %s", code, text)
	}
	if code, text := i.push(t, "", "future", now.Add(time.Hour), 1); code != http.StatusBadRequest {
		t.Errorf("an hour ahead: %d %s", code, text)
	}
	i.expect(t, `sum_over_time(up{job="test"}[1m])`, now, `"45"`)
	if code, text := i.get(t, "api/v1/metadata"); code != http.StatusOK || !strings.Contains(text, `"up":[{"type":"gauge","unit":"","help":"A test."}]`) {
		t.Errorf("metadata: %d %s", code, text)
	}
	_, metrics := i.get(t, "metrics")
	for _, line := range []string{
		"cortex_ingester_memory_users 2",
		"cortex_ingester_ingested_samples_total 11",
		`cortex_discarded_samples_total{reason="new-value-for-timestamp",user="anonymous"} 1`,
		`cortex_discarded_samples_total{reason="too_far_in_future",user="anonymous"} 1`,
		`cortex_ingester_memory_series_created_total{user="other"} 1`,
		`cortex_request_duration_seconds_count{method="POST",route="api_v1_push",status_code="400",ws="false"} 2`,
		`rekindle_memory_bytes{purpose="records"}`,
		`rekindle_memory_bytes{purpose="order"}`,
		"rekindle_restart_forecast_seconds",
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
	i.stop(t)

	i = startReal(t, dir)
	i.expect(t, `sum_over_time(up{job="test"}[1m])`, now, `"45"`)
	i.expect(t, `future`, now, `"result":[]`)
	i.stop(t)
}

// A second process on the directory ends at once and says who holds it. After the first has gone the directory is free.
func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := startReal(t, dir)
	o, err := load([]string{"-ingester.wal-dir=" + dir})
	if err != nil {
		t.Fatal(err)
	}
	err = startInstance(t, newStore(o, quiet())).wait(t)
	if want := fmt.Sprintf("is held by process %d on ", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "since 2") {
		t.Errorf("second process: %v, want %q and since when", err, want)
	}
	first.stop(t)
	startReal(t, dir).stop(t)
}

// The directory knows whose it is: another id is refused only if an operator gave it, and -ingester.adopt-dir takes over.
func TestInstanceID(t *testing.T) {
	dir := t.TempDir()
	startReal(t, dir, "-ingester.lifecycler.ID=ingester-0").stop(t)
	startReal(t, dir).stop(t)
	o, err := load([]string{"-ingester.wal-dir=" + dir, "-ingester.lifecycler.ID=ingester-1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := startInstance(t, newStore(o, quiet())).wait(t); err == nil || !strings.Contains(err.Error(), "ingester-0") || !strings.Contains(err.Error(), "-ingester.adopt-dir") {
		t.Errorf("another instance's directory: %v", err)
	}
	startReal(t, dir, "-ingester.lifecycler.ID=ingester-1", "-ingester.adopt-dir").stop(t)
}

// The documents' switches: recovery off sets data aside and deletes nothing; the log off keeps nothing, but what is there
// is recovered first.
func TestDocumentedSwitches(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().Truncate(time.Second)
	i := startReal(t, dir)
	if code, text := i.push(t, "", "up", now, 1); code != http.StatusOK {
		t.Fatalf("push: %d %s", code, text)
	}
	i.stop(t)

	i = startReal(t, dir, "-ingester.wal-enabled=false")
	i.expect(t, "up", now, `"1"]`)
	i.stop(t)

	i = startReal(t, dir)
	i.expect(t, "up", now, `"result":[]`)
	if code, text := i.push(t, "", "up", now, 2); code != http.StatusOK {
		t.Fatalf("push: %d %s", code, text)
	}
	i.stop(t)

	i = startReal(t, dir, "-ingester.recover-from-wal=false", "-ingester.checkpoint-enabled=false")
	i.expect(t, "up", now, `"result":[]`)
	i.stop(t)
	if aside, err := filepath.Glob(filepath.Join(dir, "@aside", "*", "anonymous", "wal", "0*")); err != nil || len(aside) < 2 {
		t.Errorf("set aside: %v %v", aside, err)
	}
}

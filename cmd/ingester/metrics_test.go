package main

import (
	_ "embed"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

//go:embed testdata/cortex_metrics.txt
var cortexMetrics string

// What Cortex's alerts, rules and dashboards ask of an ingester is there, with the type and the labels that they expect, once
// the ingester has worked a little and left the ring.
func TestMetricsOfCortex(t *testing.T) {
	i := startReal(t, t.TempDir(), "-ring.store=memberlist", "-memberlist.bind-addr=127.0.0.1", "-memberlist.bind-port=0")
	now := time.Now().Truncate(time.Second)
	if code, text := i.push(t, "", "up", now, 1); code != http.StatusOK {
		t.Fatalf("push: %d %s", code, text)
	}
	i.expect(t, "up", now, `"1"]`)
	text, families := i.metrics(t)
	if code, text := i.post(t, "shutdown"); code != http.StatusNoContent {
		t.Fatalf("shutdown: %d %s", code, text)
	}
	after, out := i.metrics(t)
	text += after
	families["cortex_shutdown_duration_seconds"] = out["cortex_shutdown_duration_seconds"]
	n := 0
	for line := range strings.Lines(cortexMetrics) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		n++
		family := families[f[0]]
		if family == nil {
			t.Errorf("%s is missing", f[0])
			continue
		}
		if got := strings.ToLower(family.GetType().String()); got != f[1] {
			t.Errorf("%s is a %s, want a %s", f[0], got, f[1])
		}
		want := ""
		if len(f) > 2 {
			want = f[2]
		}
		if got := labelNames(family); got != want {
			t.Errorf("%s has the labels %s, want %s", f[0], got, want)
		}
	}
	if n < 70 {
		t.Errorf("%d metrics compared", n)
	}
	for _, line := range []string{
		`cortex_ring_members{name="ingester",state="Unhealthy"`,
		`cortex_member_ring_tokens_owned{name="ingester"} 128`,
		`cortex_shutdown_duration_seconds_count{name="ingester",op="flush",status="success"} 1`,
		`cortex_request_duration_seconds_count{method="POST",route="api_v1_push",status_code="200",ws="false"} 1`,
		`cortex_kv_request_duration_seconds_count{kv_name="ingester-lifecycler",operation="CAS",role="primary",status_code="200",type="memberlist"}`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %s", line)
		}
	}
	i.stop(t)
}

func (i *instance) metrics(t *testing.T) (string, map[string]*dto.MetricFamily) {
	t.Helper()
	_, text := i.get(t, "metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return text, families
}

// labelNames are those of the first metric of a family.
func labelNames(f *dto.MetricFamily) string {
	names := map[string]bool{}
	for _, l := range f.GetMetric()[0].GetLabel() {
		names[l.GetName()] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ",")
}

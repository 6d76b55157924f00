package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rekindledb/rekindle/engine"
)

// Every metric is described as it is collected, has a help text and a name that Prometheus's linter accepts, and exists
// before the first tenant does; what carries a user label appears with the tenant.
func TestCollector(t *testing.T) {
	e, err := engine.Open(engine.Config{Dir: t.TempDir(), WAL: true, Recover: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := e.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := NewEngine(func() *engine.Engine { return e })
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(c)
	if n, err := testutil.GatherAndCount(reg); err != nil || n < len(totals) {
		t.Errorf("without tenants: %d metrics, %v", n, err)
	}

	key := []byte("\x0a\x0e\x0a\x08__name__\x12\x02up")
	b := &engine.Batch{
		Series:  []engine.BatchSeries{{Key: key, Hi: 1}},
		Samples: []engine.Sample{{T: 1_700_000_000_000, V: 1}},
	}
	for _, tenant := range []string{"a", "b"} {
		if _, err := e.Append(t.Context(), tenant, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP cortex_ingester_memory_users Tenants in memory.
# TYPE cortex_ingester_memory_users gauge
cortex_ingester_memory_users 2
# HELP cortex_ingester_memory_series Series in memory.
# TYPE cortex_ingester_memory_series gauge
cortex_ingester_memory_series 2
# HELP cortex_ingester_memory_series_created_total Series created.
# TYPE cortex_ingester_memory_series_created_total counter
cortex_ingester_memory_series_created_total{user="a"} 1
cortex_ingester_memory_series_created_total{user="b"} 1
# HELP cortex_ingester_tsdb_head_max_timestamp_seconds Timestamp of the newest sample. Far in the future: a sender's clock is wrong.
# TYPE cortex_ingester_tsdb_head_max_timestamp_seconds gauge
cortex_ingester_tsdb_head_max_timestamp_seconds 1.7e+09
`), "cortex_ingester_memory_users", "cortex_ingester_memory_series", "cortex_ingester_memory_series_created_total", "cortex_ingester_tsdb_head_max_timestamp_seconds"); err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

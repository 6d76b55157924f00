package answers

import "time"

// LookBack is the longest time before an evaluation that any expression looks at, apart from the
// staleness period of plain selectors, which staleness markers end.
const LookBack = 45 * time.Second

// expression is one PromQL text that Prometheus and the ingesters answer.
type expression struct {
	text string
	// adds is set where floats of several series are added in the order in which the storage gives them.
	adds bool
}

// They are chosen so that the order of series cannot show in another way: what topk picks from never ties, and
// nothing is subtracted from a sum that nearly equals it.

var expressions = []expression{
	// Selectors and matchers.
	{text: `up`},
	{text: `{__name__=~"node_load(1|5|15)"}`},
	{text: `node_cpu_seconds_total{mode=~"user|sys.*",cpu!=""}`},
	{text: `node_network_receive_bytes_total{device!~"lo|veth.*"}`},
	{text: `{job="node",device="",__name__!~"go_.*"}`},
	{text: `{job="ingester"}`},
	{text: `prometheus_http_requests_total{code=~"2..",handler!="/metrics"}`},
	{text: `timestamp(up)`},

	// Ranges.
	{text: `rate(node_cpu_seconds_total[20s])`},
	{text: `irate(node_cpu_seconds_total{cpu="0"}[10s])`},
	{text: `increase(node_context_switches_total[30s])`},
	{text: `delta(node_memory_MemFree_bytes[30s])`},
	{text: `deriv(process_resident_memory_bytes[30s])`},
	{text: `predict_linear(node_memory_MemFree_bytes[30s], 60)`},
	{text: `changes(up[40s])`},
	{text: `resets(process_cpu_seconds_total[40s])`},
	{text: `avg_over_time(node_memory_MemAvailable_bytes[30s])`},
	{text: `stddev_over_time(scrape_duration_seconds[30s])`},
	{text: `quantile_over_time(0.75, scrape_duration_seconds[30s])`},
	{text: `count_over_time(prometheus_http_requests_total[15s])`},
	{text: `last_over_time(process_start_time_seconds[30s])`},
	{text: `rate(node_cpu_seconds_total{mode="idle"}[20s] offset 15s)`},

	// Aggregations.
	{text: `sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[20s]))`, adds: true},
	{text: `avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[30s]))`, adds: true},
	{text: `sum without (cpu, mode) (node_cpu_seconds_total)`, adds: true},
	{text: `stddev by (job) (go_goroutines)`},
	{text: `max by (job) (go_goroutines) - min by (job) (go_goroutines)`},
	{text: `quantile by (job) (0.9, scrape_duration_seconds)`},
	{text: `count by (__name__) ({job="node"})`},
	{text: `count by (job) ({__name__=~".+",job!=""})`},
	{text: `count_values("value", up)`},
	{text: `group by (job) ({__name__=~"process_.+"})`},
	{text: `topk(2, scrape_duration_seconds)`},
	{text: `bottomk(1, process_start_time_seconds{job!="ingester"})`},

	// Classic histograms.
	{text: `histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[30s])))`, adds: true},
	{text: `histogram_quantile(0.5, rate(prometheus_remote_storage_sent_batch_duration_seconds_bucket[30s]))`},
	{text: `sum(rate(prometheus_http_request_duration_seconds_sum[30s])) / sum(rate(prometheus_http_request_duration_seconds_count[30s]))`, adds: true},

	// Joins and sets.
	{text: `100 * node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes`},
	{text: `rate(node_cpu_seconds_total[20s]) * on (instance) group_left (nodename) node_uname_info`},
	{text: `up and on (instance) process_resident_memory_bytes > 0`},
	{text: `up unless on (job) node_load1`},
	{text: `node_load1 or up`},

	// Subqueries, offsets and fixed times.
	{text: `max_over_time(rate(node_cpu_seconds_total{mode="system"}[10s])[30s:5s])`},
	{text: `avg_over_time(sum by (job) (up)[40s:3s])`},
	{text: `node_load1 - node_load1 offset 20s`},
	{text: `node_memory_MemAvailable_bytes - node_memory_MemAvailable_bytes @ end()`},
	{text: `rate(node_context_switches_total[20s] @ start())`},

	// Labels, and what is not there.
	{text: `label_replace(up, "host", "$1", "instance", "([^:]+):.*")`},
	{text: `label_join(up, "where", "/", "job", "instance")`},
	{text: `absent(node_load1{job="nobody"})`},
	{text: `absent(up)`},
	{text: `absent_over_time(up{job="node"}[10s])`},
	{text: `time() - process_start_time_seconds`},
	{text: `scalar(node_load5) + vector(1)`},
}

// rawSelectors are asked as range vectors over the whole window: every stored sample, none evaluated.
var rawSelectors = []string{`{job="node"}`, `{job="prometheus"}`, `{job="ingester"}`}

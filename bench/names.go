package bench

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
)

// What the cluster runs. The lists are short and the numbers do the rest.
var (
	namespaces = []string{"payments", "logistics", "identity", "monitoring", "storefront", "analytics"}
	apps       = []string{"checkout", "invoice-renderer", "session-store", "ledger", "mail-gateway", "search", "catalogue-api", "basket"}
	routes     = []string{"/api/v1/orders/{id}/items", "/api/v1/customers/{id}", "/healthz", "/api/v2/search", "/internal/sync/stream"}
	statuses   = []string{"200", "503"}

	subsystems = []string{"apiserver", "http_server", "grpc_client", "workqueue", "db_pool", "cache", "scheduler", "kafka_consumer"}
	nouns      = []string{"request_duration_seconds", "response_size_bytes", "retries", "queue_wait_seconds", "connections", "decode_errors", "lookups"}
	suffixes   = []string{"total", "sum", "count"}
)

const targetsPerService = 50

func metricName(n int) string {
	name := subsystems[n%len(subsystems)] + "_" + nouns[n%len(nouns)] + "_" + suffixes[n%len(suffixes)]
	if cycle := n / (len(subsystems) * len(nouns) * len(suffixes)); cycle > 0 {
		// The three lengths have no common divisor, so the names repeat only after their product.
		name += "_" + strconv.Itoa(cycle)
	}
	return name
}

// podSuffixLetters are those that Kubernetes uses: no vowels, no digits that look like letters.
const podSuffixLetters = "bcdfghjklmnpqrstvwxz2456789"

// podSuffix writes n, scattered, as at least five letters. Different n below 27^5 give different suffixes
// of five letters, larger ones longer suffixes, so no two pods share a name.
func podSuffix(dst []byte, n uint64) []byte {
	const fiveLetters = 27 * 27 * 27 * 27 * 27
	rest := n / fiveLetters
	// 9,990,001 has no divisor in common with 27, so this is a permutation of the numbers below 27^5.
	n = (n%fiveLetters*9_990_001 + 1_234_567) % fiveLetters
	for range 5 {
		dst = append(dst, podSuffixLetters[n%27])
		n /= 27
	}
	for ; rest > 0; rest /= 27 {
		dst = append(dst, podSuffixLetters[rest%27])
	}
	return dst
}

// targetLabels are the labels that all series of a target share, sorted by name. They are those between
// __name__ and route.
func targetLabels(count, target, generation, targets int) []labels.Label {
	service := target / targetsPerService
	namespace := namespaces[service%len(namespaces)]
	app := apps[service%len(apps)] + "-" + strconv.Itoa(service)
	unique := uint64(generation)*uint64(targets) + uint64(target)
	set := hashString(app)
	pod := fmt.Appendf(nil, "%s-%010x-", app, set&(1<<40-1))
	pod = podSuffix(pod, unique)
	address := mix(unique)

	all := []labels.Label{
		{Name: "cluster", Value: "prod-eu-central-1"},
		{Name: "container", Value: app},
		{Name: "endpoint", Value: "http-metrics"},
		{Name: "instance", Value: fmt.Sprintf("10.%d.%d.%d:9090", address&0xff, address>>8&0xff, address>>16&0xff)},
		{Name: "job", Value: namespace + "/" + app},
	}
	extra := count - defaultLabels
	for i := range max(extra, 0) {
		all = append(all, labels.Label{Name: fmt.Sprintf("label_%02d", i), Value: app + "-" + strconv.Itoa(i)})
	}
	all = append(all, labels.Label{Name: "namespace", Value: namespace}, labels.Label{Name: "pod", Value: string(pod)})

	// Fewer labels: those go first that say least.
	for _, name := range []string{"endpoint", "cluster", "container", "namespace"}[:max(-extra, 0)] {
		all = slices.DeleteFunc(all, func(l labels.Label) bool { return l.Name == name })
	}
	return all
}

const defaultLabels = 10

func hashString(s string) uint64 {
	h := uint64(len(s))
	for i := range len(s) {
		h = mix(h + uint64(s[i]))
	}
	return h
}

package httpsrv

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// admission bounds the requests in progress, by number and by bytes. A number alone does not bound memory, and
// bytes alone not the work.
type admission struct {
	maxRequests, maxBytes int64
	requests, bytes       atomic.Int64
	refused               *prometheus.CounterVec
}

func newAdmission(o PushOptions, reg prometheus.Registerer) *admission {
	a := &admission{maxRequests: o.MaxInflight, maxBytes: o.MaxInflightBytes}
	f := promauto.With(reg)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cortex_ingester_inflight_push_requests",
		Help: "Push requests in progress.",
	}, func() float64 { return float64(a.requests.Load()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rekindle_inflight_push_bytes",
		Help: "Bytes of the bodies of push requests in progress, compressed and decompressed. Near the limit, senders are answered 503.",
	}, func() float64 { return float64(a.bytes.Load()) })
	limits := f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "cortex_ingester_instance_limits",
		Help: "Limits of this process; 0 means no limit.",
	}, []string{"limit"})
	limits.WithLabelValues("max_inflight_push_requests").Set(float64(o.MaxInflight))
	limits.WithLabelValues("max_inflight_push_requests_bytes").Set(float64(o.MaxInflightBytes))
	a.refused = f.NewCounterVec(prometheus.CounterOpts{
		Name: "rekindle_push_refused_total",
		Help: "Push requests answered 503 because of an instance limit. If it grows, raise the limit or add memory.",
	}, []string{"limit"})
	return a
}

// ticket is one request's share.
type ticket struct {
	a     *admission
	bytes int64
}

func (a *admission) enter() (*ticket, *refusal) {
	if n := a.requests.Add(1); a.maxRequests > 0 && n > a.maxRequests {
		a.requests.Add(-1)
		a.refused.WithLabelValues("max_inflight_push_requests").Inc()
		return nil, unavailable("cannot push: too many inflight push requests in ingester", 0)
	}
	return &ticket{a: a}, nil
}

// take asks for n more bytes.
func (t *ticket) take(n int64) *refusal {
	t.bytes += n
	if total := t.a.bytes.Add(n); t.a.maxBytes > 0 && total > t.a.maxBytes {
		t.a.refused.WithLabelValues("max_inflight_push_requests_bytes").Inc()
		return unavailable("cannot push: too many bytes of inflight push requests in ingester", 0)
	}
	return nil
}

// give returns n bytes early.
func (t *ticket) give(n int64) {
	t.bytes -= n
	t.a.bytes.Add(-n)
}

func (t *ticket) leave() {
	t.give(t.bytes)
	t.a.requests.Add(-1)
}

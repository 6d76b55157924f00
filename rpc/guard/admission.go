package guard

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Limits bound the push requests in progress, of all protocols together. 0 means no limit.
type Limits struct {
	MaxRequests int64
	// MaxBytes is of their bodies, compressed and not.
	MaxBytes int64
}

// Admission keeps Limits. A number of requests alone does not bound memory, and bytes alone not the work.
type Admission struct {
	limits          Limits
	requests, bytes atomic.Int64
	refused         *prometheus.CounterVec
}

// NewAdmission registers metrics on reg.
func NewAdmission(l Limits, reg prometheus.Registerer) *Admission {
	a := &Admission{limits: l}
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
	limits.WithLabelValues("max_inflight_push_requests").Set(float64(l.MaxRequests))
	limits.WithLabelValues("max_inflight_push_requests_bytes").Set(float64(l.MaxBytes))
	a.refused = f.NewCounterVec(prometheus.CounterOpts{
		Name: "rekindle_push_refused_total",
		Help: "Push requests answered 503 because of an instance limit. If it grows, raise the limit or add memory.",
	}, []string{"limit"})
	return a
}

// Ticket is one request's share.
type Ticket struct {
	a     *Admission
	bytes int64
}

// Enter admits a request, which must call Leave in the end, or returns why not.
func (a *Admission) Enter() (Ticket, *Refusal) {
	if n := a.requests.Add(1); a.limits.MaxRequests > 0 && n > a.limits.MaxRequests {
		a.requests.Add(-1)
		a.refused.WithLabelValues("max_inflight_push_requests").Inc()
		return Ticket{}, Unavailable("cannot push: too many inflight push requests in ingester", 0)
	}
	return Ticket{a: a}, nil
}

// Take asks for n more bytes.
func (t *Ticket) Take(n int64) *Refusal {
	t.bytes += n
	if total := t.a.bytes.Add(n); t.a.limits.MaxBytes > 0 && total > t.a.limits.MaxBytes {
		t.a.refused.WithLabelValues("max_inflight_push_requests_bytes").Inc()
		return Unavailable("cannot push: too many bytes of inflight push requests in ingester", 0)
	}
	return nil
}

// Give returns n bytes early.
func (t *Ticket) Give(n int64) {
	t.bytes -= n
	t.a.bytes.Add(-n)
}

// Leave returns what is left of it.
func (t *Ticket) Leave() {
	t.Give(t.bytes)
	t.a.requests.Add(-1)
}

// Package metrics shows the engine's numbers to Prometheus. The engine counts in plain fields and knows no exporter;
// this package knows both.
//
// A number that Cortex's ingester has too has its name, so that dashboards and alerts go on working: of the
// chunks storage (cortex_ingester_wal_*, cortex_ingester_checkpoint_*) and of blocks (cortex_ingester_tsdb_*) where both
// have one. A checkpoint there is an image here. What is ours begins with rekindle_.
//
// Metrics with a user label exist as long as the tenant does.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/engine"
)

// Engine collects what the tenants of an engine count.
type Engine struct {
	engine func() *engine.Engine
}

var _ prometheus.Collector = (*Engine)(nil)

// NewEngine returns a collector over the engine that the function returns when metrics are scraped; nil: there is
// none at that moment.
func NewEngine(engine func() *engine.Engine) *Engine {
	return &Engine{engine: engine}
}

// Describe implements prometheus.Collector.
func (*Engine) Describe(to chan<- *prometheus.Desc) {
	to <- users
	to <- memory
	to <- discardedSamples
	to <- discardedExemplars
	to <- discardedMetadata
	to <- imageLocks
	to <- restartForecast
	to <- restartLast
	to <- failedStarts
	to <- recoveryDone
	to <- recoveryLeft
	for i := range totals {
		to <- totals[i].desc
	}
	for i := range perTenant {
		to <- perTenant[i].desc
	}
	for i := range summaries {
		to <- summaries[i].desc
	}
	to <- walReplay
}

// Collect implements prometheus.Collector.
func (e *Engine) Collect(to chan<- prometheus.Metric) {
	var tenants []*engine.Tenant
	if engine := e.engine(); engine != nil {
		tenants = engine.Tenants()
		collectStart(to, engine)
	}
	to <- prometheus.MustNewConstMetric(users, prometheus.GaugeValue, float64(len(tenants)))

	sums := make([]float64, len(totals))
	times := make([]struct {
		count uint64
		sum   float64
	}, len(summaries))
	replays := newReplays()
	var offHeap [arena.NumPurposes]float64
	var trails, copies float64
	var locks engine.Holds
	var st engine.Stats
	for _, t := range tenants {
		t.Stats(&st)
		for i := range totals {
			totals[i].add(&sums[i], &st)
		}
		for i := range summaries {
			times[i].count += summaries[i].count(&st)
			times[i].sum += summaries[i].sum(&st)
		}
		replays.observe(recovery(&st))
		locks.Add(&st.Images.Holds)
		for p, n := range st.Memory {
			offHeap[p] += float64(n)
		}
		trails += float64(st.TrailBytes)
		copies += float64(st.CopyBytes)
		for i := range perTenant {
			m := &perTenant[i]
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&st), t.ID())
		}
		for _, d := range st.Discards {
			to <- prometheus.MustNewConstMetric(discardedSamples, prometheus.CounterValue, float64(d.Samples), d.Reason, t.ID())
			if d.Exemplars > 0 {
				to <- prometheus.MustNewConstMetric(discardedExemplars, prometheus.CounterValue, float64(d.Exemplars), d.Reason, t.ID())
			}
			if d.Metadata > 0 {
				to <- prometheus.MustNewConstMetric(discardedMetadata, prometheus.CounterValue, float64(d.Metadata), d.Reason, t.ID())
			}
		}
	}
	for i := range totals {
		to <- prometheus.MustNewConstMetric(totals[i].desc, totals[i].kind, sums[i])
	}
	for i := range summaries {
		to <- prometheus.MustNewConstSummary(summaries[i].desc, times[i].count, times[i].sum, nil)
	}
	to <- prometheus.MustNewConstHistogram(walReplay, replays.count, replays.sum, replays.buckets)
	to <- lockTimes(&locks)
	for p, n := range offHeap {
		to <- prometheus.MustNewConstMetric(memory, prometheus.GaugeValue, n, arena.Purpose(p).String())
	}
	to <- prometheus.MustNewConstMetric(memory, prometheus.GaugeValue, trails, "order")
	to <- prometheus.MustNewConstMetric(memory, prometheus.GaugeValue, copies, "copies")
}

// lockTimes is a histogram of what images cost pushes.
func lockTimes(h *engine.Holds) prometheus.Metric {
	upTo, n := map[float64]uint64{}, uint64(0)
	for i, bound := range engine.HoldBounds {
		n += h.Classes[i]
		upTo[bound.Seconds()] = n
	}
	return prometheus.MustNewConstHistogram(imageLocks, n+h.Classes[len(engine.HoldBounds)], h.Sum.Seconds(), upTo)
}

// collectStart shows how the start goes, went, and would go now.
func collectStart(to chan<- prometheus.Metric, e *engine.Engine) {
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	send(restartForecast, e.Forecast().Seconds())
	last := e.LastRestart()
	send(restartLast, last.Images.Seconds(), "images")
	send(restartLast, last.Log.Seconds(), "log")
	send(restartLast, last.Rest.Seconds(), "rest")
	send(failedStarts, float64(e.FailedStarts()))
	switch p := e.Progress(); {
	case p.Ready:
		send(recoveryDone, 1)
		send(recoveryLeft, 0)
	default:
		send(recoveryDone, p.Percent/100)
		if p.ETA >= 0 {
			send(recoveryLeft, p.ETA.Seconds())
		}
	}
}

// summary is a count of things and the time that they took.
type summary struct {
	desc  *prometheus.Desc
	count func(*engine.Stats) uint64
	sum   func(*engine.Stats) float64
}

// replays is a histogram with the default buckets.
type replays struct {
	count   uint64
	sum     float64
	buckets map[float64]uint64
}

func newReplays() replays {
	r := replays{buckets: map[float64]uint64{}}
	for _, b := range prometheus.DefBuckets {
		r.buckets[b] = 0
	}
	return r
}

func (r *replays) observe(seconds float64) {
	if seconds == 0 { // the tenant was made later
		return
	}
	r.count++
	r.sum += seconds
	for b := range r.buckets {
		if seconds <= b {
			r.buckets[b]++
		}
	}
}

// metric is one number of a tenant's Stats, summed over tenants unless largest is set or it has a user label.
type metric struct {
	desc    *prometheus.Desc
	kind    prometheus.ValueType
	value   func(*engine.Stats) float64
	largest bool
}

func (m *metric) add(sum *float64, st *engine.Stats) {
	if v := m.value(st); m.largest {
		*sum = max(*sum, v)
	} else {
		*sum += v
	}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

func counter(name, help string, value func(*engine.Stats) float64) metric {
	return metric{desc: describe(name, help), kind: prometheus.CounterValue, value: value}
}

func gauge(name, help string, value func(*engine.Stats) float64) metric {
	return metric{desc: describe(name, help), kind: prometheus.GaugeValue, value: value}
}

// largest is a gauge that is the worst tenant's.
func largest(name, help string, value func(*engine.Stats) float64) metric {
	return metric{desc: describe(name, help), kind: prometheus.GaugeValue, value: value, largest: true}
}

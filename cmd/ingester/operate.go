package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/guard"
	"github.com/rekindledb/rekindle/rpc/httpsrv"
	"github.com/rekindledb/rekindle/rpc/ring"
)

// leaveTimeout bounds how long a stop waits for the store to be told.
const leaveTimeout = 5 * time.Second

// operator does what operators ask for that needs the engine and the ring both.
type operator struct {
	*membership
	db         database
	gate       *guard.Gate
	rates      *guard.Rates
	unregister bool // when the process stops
	sleep      time.Duration
	logger     *slog.Logger
	duration   *prometheus.HistogramVec

	stopping sync.Mutex
}

var _ httpsrv.Operator = (*operator)(nil)

func newOperator(m *membership, o *options, db database, gate *guard.Gate, rates *guard.Rates, logger *slog.Logger, reg prometheus.Registerer) *operator {
	p := &operator{
		membership: m, db: db, gate: gate, rates: rates, logger: logger,
		unregister: o.Ingester.Lifecycler.UnregisterOnStop, sleep: o.Ingester.Lifecycler.FinalSleep,
		duration: promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
			Name:        "cortex_shutdown_duration_seconds",
			Help:        "How long making data safe took when the instance left the ring.",
			Buckets:     prometheus.ExponentialBuckets(10, 2, 8),
			ConstLabels: prometheus.Labels{"name": "ingester"},
		}, []string{"op", "status"}),
	}
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cortex_ingester_ingestion_rate_samples_per_second",
		Help: "Samples stored a second, averaged over 67 s.",
	}, p.rate)
	return p
}

// rate is over all tenants, 0 while the engine is not open.
func (p *operator) rate() float64 {
	if p.gate.Enter() != nil {
		return 0
	}
	defer p.gate.Leave()
	sum := 0.0
	for _, t := range p.Tenants() {
		sum += t.IngestionRate
	}
	return sum
}

// Flush implements httpsrv.Operator.
func (p *operator) Flush(ctx context.Context, tenants []string) error {
	return p.db.flush(ctx, tenants)
}

// Shutdown implements httpsrv.Operator.
func (p *operator) Shutdown(ctx context.Context) error {
	p.stopping.Lock()
	defer p.stopping.Unlock()
	if no := p.gate.Enter(); no != nil {
		return errors.New(no.Text)
	}
	defer p.gate.Leave()
	return errors.Join(p.Leave(ctx), p.timed(func() error { return p.db.flush(ctx, nil) }), p.Unregister(ctx))
}

// leave is the part of a stop that others see. Queries are answered until it ends.
func (p *operator) leave(ctx context.Context) {
	p.stopping.Lock()
	defer p.stopping.Unlock()
	warn := func(err error) {
		if err != nil {
			p.logger.Warn("the ring may not know that this instance stops; it will be called unhealthy", "err", err)
		}
	}
	call, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	warn(p.Leave(call))
	time.Sleep(p.sleep)
	prepared, err := p.ShutdownPrepared()
	warn(err)
	if p.unregister || prepared {
		call, cancel := context.WithTimeout(ctx, leaveTimeout)
		defer cancel()
		warn(p.Unregister(call))
	}
	p.Stop()
	p.gossip.StopAsync() // it says good-bye while images are written
}

func (p *operator) timed(flush func() error) error {
	begun, status := time.Now(), "success"
	err := flush()
	if err != nil {
		status = "fail"
	}
	p.duration.WithLabelValues("flush", status).Observe(time.Since(begun).Seconds())
	return err
}

// Tenants implements httpsrv.Operator.
func (p *operator) Tenants() []httpsrv.TenantStats {
	list := []httpsrv.TenantStats{}
	var st engine.Stats
	for _, id := range p.db.Tenants() {
		if !p.db.Stats(id, &st) {
			continue
		}
		api, rule := p.rates.Of(id)
		list = append(list, httpsrv.TenantStats{
			Tenant: id, NumSeries: st.Series, ActiveSeries: st.Series,
			IngestionRate: api + rule, APIIngestionRate: api, RuleIngestionRate: rule, QueriedIngesters: 1,
		})
	}
	return list
}

// members is a database that makes no new tenant unless the instance is ACTIVE: one that is READONLY is to get empty.
type members struct {
	database
	state func() ring.State
}

func (m members) Append(ctx context.Context, tenant string, b *engine.Batch) (int, error) {
	if s := m.state(); s != ring.Active && m.source(tenant) == nil {
		return 0, fmt.Errorf("%w: cannot create tenant %s while the ingester is not in active state (current state: %s)", engine.ErrUnavailable, tenant, s)
	}
	return m.database.Append(ctx, tenant, b)
}

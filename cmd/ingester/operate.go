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
	db         *members
	gate       *guard.Gate
	rates      *guard.Rates
	unregister bool // when the process stops
	sleep      time.Duration
	logger     *slog.Logger
	duration   *prometheus.HistogramVec

	wal                        bool
	retries                    int // of a hand-over; 0 = none
	sentChunks, receivedChunks prometheus.Counter

	stopping sync.Mutex
	safe     bool // under stopping: Shutdown made the data safe
}

var _ httpsrv.Operator = (*operator)(nil)

func newOperator(m *membership, o *options, db *members, gate *guard.Gate, rates *guard.Rates, logger *slog.Logger, reg prometheus.Registerer) *operator {
	p := &operator{
		membership: m, db: db, gate: gate, rates: rates, logger: logger,
		unregister: o.Ingester.Lifecycler.UnregisterOnStop, sleep: o.Ingester.Lifecycler.FinalSleep,
		wal: o.Ingester.WAL.Enabled,
		sentChunks: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "cortex_ingester_sent_chunks",
			Help: "Chunks handed over to another ingester.",
		}),
		receivedChunks: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "cortex_ingester_received_chunks",
			Help: "Chunks taken over from another ingester.",
		}),
		duration: promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
			Name:        "cortex_shutdown_duration_seconds",
			Help:        "How long making data safe took when the instance left the ring.",
			Buckets:     prometheus.ExponentialBuckets(10, 2, 8),
			ConstLabels: prometheus.Labels{"name": "ingester"},
		}, []string{"op", "status"}),
	}
	if !p.wal && o.Ingester.Lifecycler.Ring.KVStore.Store != storeInMemory {
		p.retries = o.Ingester.Retries
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
	for _, id := range p.db.Tenants() {
		api, rule := p.rates.Of(id)
		sum += api + rule
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
	err := p.Leave(ctx)
	p.db.settle()
	if !p.safe {
		err = errors.Join(err, p.timed(func() error { return p.keep(ctx) }))
		p.safe = err == nil
	}
	return errors.Join(err, p.Unregister(ctx))
}

// keep makes what is in memory outlive the process.
func (p *operator) keep(ctx context.Context) error {
	if p.wal {
		return p.db.flush(ctx, nil)
	}
	return p.db.save(ctx)
}

// leave is the part of a stop that others see. Queries are answered until it ends. An error says that data was to be handed
// over and was not.
func (p *operator) leave(ctx context.Context) error {
	p.stopping.Lock()
	defer p.stopping.Unlock()
	defer p.gossip.StopAsync()
	defer p.Stop()
	warn := func(err error) {
		if err != nil {
			p.logger.Warn("the ring may not know that this instance stops; it will be called unhealthy", "err", err)
		}
	}
	tell := func(say func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
		defer cancel()
		warn(say(ctx))
	}
	was := p.State()
	tell(p.Leave)
	handed, err := p.handOverOrKeep(ctx, was)
	time.Sleep(p.sleep)
	prepared, stat := p.ShutdownPrepared()
	warn(stat)
	if p.unregister || prepared || handed {
		tell(p.Unregister)
	}
	return err
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
			Tenant: id, NumSeries: st.Series, ActiveSeries: p.db.Active(id),
			IngestionRate: api + rule, APIIngestionRate: api, RuleIngestionRate: rule, QueriedIngesters: 1,
		})
	}
	return list
}

// members is a database that makes no new tenant unless the instance is ACTIVE: one that is READONLY is to get empty.
type members struct {
	database
	state     func() ring.State
	appending sync.RWMutex
}

func (m *members) Append(ctx context.Context, tenant string, b *engine.Batch) (int, error) {
	m.appending.RLock()
	defer m.appending.RUnlock()
	switch s := m.state(); {
	case s == ring.Leaving: // it was not when the request came in
		return 0, fmt.Errorf("%w: the ingester is %s", engine.ErrUnavailable, s)
	case s != ring.Active && m.source(tenant) == nil:
		return 0, fmt.Errorf("%w: cannot create tenant %s while the ingester is not in active state (current state: %s)", engine.ErrUnavailable, tenant, s)
	}
	return m.database.Append(ctx, tenant, b)
}

// settle returns when what was being appended is there. Called when the instance is LEAVING, so nothing follows.
func (m *members) settle() {
	m.appending.Lock()
	defer m.appending.Unlock()
}

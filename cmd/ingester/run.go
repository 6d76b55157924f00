package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/grafana/dskit/grpcutil"
	"github.com/grafana/dskit/services"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"google.golang.org/grpc/health/grpc_health_v1"
	"gopkg.in/yaml.v3"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/engine/promstore"
	"github.com/rekindledb/rekindle/rpc/grpcsrv"
	"github.com/rekindledb/rekindle/rpc/guard"
	"github.com/rekindledb/rekindle/rpc/httpsrv"
	"github.com/rekindledb/rekindle/rpc/metrics"
	"github.com/rekindledb/rekindle/rpc/wire"
)

// closeTimeout bounds how long a stop waits for pushes in progress. Each waits for one commit.
const closeTimeout = 10 * time.Second

// warmAfter is how long after the start what the first query needs is made, if none has come: pushes that waited and images
// that are late need both cores before.
const warmAfter = 10 * time.Second

var processStart = time.Now()

// database is what run brings up and takes down: the engine, in a test something else.
type database interface {
	grpcsrv.Store
	prometheus.Collector
	source(tenant string) metrics.Source
	// status may be called at any time, Append, Metadata, source and flush after recover and until close.
	status() guard.Status
	// flush makes a restart short, of all tenants if none is named.
	flush(ctx context.Context, tenants []string) error
	// takeIn and stream are the two ends of a hand-over, save is for when it fails: it writes what is in memory only.
	takeIn(ctx context.Context, tenant string, b *engine.Batch) (engine.TakenIn, error)
	stream(tenant string) func(ctx context.Context, mint, maxt int64, yield func([]engine.KeyedSeries) error) error
	save(ctx context.Context) error
	// open locks the directory and returns the id of its instance; recover reads it and ends early, harming nothing, when
	// ctx does.
	open() (instance string, err error)
	recover(ctx context.Context) error
	close() error
}

// run is the life of the process, until ctx is done or something fails:
//
//	listen       /metrics, /-/healthy and /ready (503) answer from here on
//	open         the data directory is locked and found to be ours
//	start ring   heartbeats begin, whatever recovery does
//	recover      images are read, the log is replayed
//	open gate    queries pass
//	join ring    ACTIVE: pushes pass
//	...          ctx done
//	leave ring   LEAVING: new pushes are refused; gossip says good-bye
//	close gate   pushes inside are answered, queries are cancelled, new ones refused
//	close engine images are written
//	stop server
func run(ctx context.Context, o *options, logger *slog.Logger, db database) error {
	reg := prometheus.NewRegistry()
	readyAfter := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rekindle_ready_seconds",
		Help: "Time from the start of the process until it was ready; 0 before that.",
	})
	hash, err := configHash(&o.Config)
	if err != nil {
		return err
	}
	ignored := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "cortex_deprecated_flags_inuse_total",
		Help: "Arguments given that have no effect; the log of the start names them.",
	})
	ignored.Add(float64(len(o.ignored)))
	reg.MustRegister(
		ignored,
		hash,
		metrics.Absent{},
		metrics.MapAreas{},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("cortex"),
		readyAfter,
		db,
	)

	// A port in use and a directory in use often come together, and the second says more: neither hides the other.
	srv, err := newServer(o, logger, reg)
	if err != nil {
		err = fmt.Errorf("listen: %w", err)
		if _, openErr := db.open(); openErr != nil {
			return errors.Join(err, openErr)
		}
		return errors.Join(err, db.close())
	}
	ring, err := newMembership(o, srv.GRPCListenAddr(), logger, reg)
	if err != nil {
		srv.Shutdown()
		return err
	}
	reg.MustRegister(metrics.NewRing(ring.Lifecycler, o.Ingester.Lifecycler.Ring.DetailedMetrics))
	members := &members{database: db, state: ring.State}
	db = members
	gate := guard.NewGate(db.status)
	gate.AcceptIf(ring.Accepting, ring.Ready)
	rates := new(guard.Rates)
	operator := newOperator(ring, o, members, gate, rates, logger, reg)
	var handlers *httpsrv.Server
	engineService := newEngineService(operator, func() {
		time.AfterFunc(warmAfter, handlers.Warm)
		took := time.Since(processStart)
		readyAfter.Set(took.Seconds())
		logger.Info("ready", "after", took.Round(time.Millisecond), "url", openURL(srv))
	})
	serverService := newServerService(srv)

	manager, err := services.NewManager(serverService, ring.gossip, engineService)
	if err != nil {
		return err
	}
	grpc_health_v1.RegisterHealthServer(srv.GRPC, grpcutil.NewHealthCheck(manager))
	admission := guard.NewAdmission(guard.Limits{
		MaxRequests: o.Ingester.Instance.MaxInflightPushRequests,
		MaxBytes:    o.Ingester.Instance.MaxInflightPushRequestsBytes,
	}, reg)
	tenancy := guard.Tenancy{Required: o.AuthEnabled, Default: o.NoAuthTenant}
	queries := metrics.NewQueries(reg)
	source := func(tenant string) metrics.Source { return queries.Count(db.source(tenant)) }
	defaults, err := load(nil)
	if err != nil {
		return err
	}
	handlers = httpsrv.New(httpsrv.Options{
		Store:     db,
		Source:    func(tenant string) promstore.Source { return source(tenant) },
		Gate:      gate,
		Admission: admission,
		Rates:     rates,
		Tenancy:   tenancy,
		Decoder:   decoderOptions(o),
		Query: httpsrv.QueryOptions{
			MaxConcurrent: o.Querier.MaxConcurrent,
			MaxSamples:    o.Querier.MaxSamples,
			Timeout:       o.Querier.Timeout,
			LookbackDelta: o.Querier.LookbackDelta,
		},
		Config:     o.Config,
		Defaults:   defaults.Config,
		Services:   func() map[string]string { return states(engineService, ring.gossip, serverService) },
		Logger:     logger,
		Registerer: reg,
		Gatherer:   reg,
	}, srv.HTTP)
	grpcsrv.New(grpcsrv.Options{
		Transfer:             operator.receive,
		Store:                db,
		Source:               func(tenant string) grpcsrv.Source { return source(tenant) },
		Gate:                 gate,
		Admission:            admission,
		Rates:                rates,
		Tenancy:              tenancy,
		QueryIngestersWithin: o.Querier.QueryIngestersWithin,
		Registerer:           reg,
	}).Register(srv.GRPC)

	httpsrv.RouteOperator(httpsrv.OperatorOptions{
		Operator: operator, Gate: gate, ChangeByGet: o.API.ChangeByGet, Memberlist: ring.gossip, Logger: logger,
	}, srv.HTTP)

	watcher := services.NewFailureWatcher()
	watcher.WatchManager(manager)
	// Services live until they are stopped, in order, below.
	if err := manager.StartAsync(context.Background()); err != nil {
		return err
	}
	logger.Info("listening", "url", openURL(srv), "grpc", srv.GRPCListenAddr())
	select {
	case <-ctx.Done():
		logger.Info("stopping")
	case <-watcher.Chan():
	}
	var failures []error
	for _, s := range []services.Service{engineService, ring.gossip, serverService} {
		s.StopAsync()
		if s.AwaitTerminated(context.Background()) != nil {
			failures = append(failures, s.FailureCase())
		}
	}
	return errors.Join(failures...)
}

// configHash lets an alert find instances that run with other settings than the rest.
func configHash(c *Config) (prometheus.Collector, error) {
	b, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("hash the settings: %w", err)
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "cortex_config_hash",
		Help:        "1, with a hash of the settings.",
		ConstLabels: prometheus.Labels{"sha256": fmt.Sprintf("%x", sha256.Sum256(b))},
	})
	g.Set(1)
	return g, nil
}

func decoderOptions(o *options) wire.Options {
	d := wire.DefaultOptions()
	d.MaxMessageSize = o.Distributor.MaxRecvMsgSize
	return d
}

func states(engine, memberlist, server services.Service) map[string]string {
	return map[string]string{"engine": engine.State().String(), "memberlist": memberlist.State().String(), "server": server.State().String()}
}

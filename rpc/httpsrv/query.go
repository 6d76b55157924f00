package httpsrv

import (
	"net/http"
	"sync"
	"time"

	"github.com/grafana/dskit/gate"
	"github.com/grafana/regexp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/route"
	"github.com/prometheus/common/version"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	v1 "github.com/prometheus/prometheus/web/api/v1"

	"github.com/rekindledb/rekindle/engine/promstore"
	"github.com/rekindledb/rekindle/rpc/guard"
)

// queryPrefixes are where the query API is found: Cortex's two, and Prometheus's own.
var queryPrefixes = []string{"/prometheus", "/api/prom", ""}

// queryPaths are the endpoints of Prometheus's API that mean something here, below <prefix>/api/v1. The others
// (targets, rules, alerts, admin) would answer for parts of Prometheus that this process does not have.
var queryPaths = []struct {
	path string
	get  bool
	post bool
}{
	{"/query", true, true},
	{"/query_range", true, true},
	{"/query_exemplars", true, true},
	{"/format_query", true, true},
	{"/parse_query", true, true},
	{"/labels", true, true},
	{"/label/{name}/values", true, false},
	{"/series", true, true},
	{"/read", false, true},
	{"/status/buildinfo", true, false},
}

// QueryOptions bound what queries may take.
type QueryOptions struct {
	// MaxConcurrent queries run at the same time, others wait. Each may hold MaxSamples samples of 16 bytes.
	MaxConcurrent int
	MaxSamples    int
	// Timeout ends a query.
	Timeout time.Duration
	// LookbackDelta is how far back an instant looks for a sample.
	LookbackDelta time.Duration
}

// remoteReadFrame is the size at which Prometheus ends a frame of streamed remote read.
const remoteReadFrame = 1 << 20

// newQueryAPI returns Prometheus's API over src; it expects paths that begin with /api/v1. It is built at the first
// call, which takes 45 ms of CPU and makes 40 MB of garbage (Prometheus renders its OpenAPI document then, whether it is
// served or not): not before the process is ready, when that time counts.
func newQueryAPI(o *Options, src promstore.Source) func() http.Handler {
	return sync.OnceValue(func() http.Handler {
		queryable := promstore.New(src)
		p := parser.NewParser(parser.Options{})
		engine := promql.NewEngine(promql.EngineOpts{
			Logger:               o.Logger,
			Reg:                  prometheus.WrapRegistererWithPrefix("cortex_", o.Registerer),
			MaxSamples:           o.Query.MaxSamples,
			Timeout:              o.Query.Timeout,
			LookbackDelta:        o.Query.LookbackDelta,
			EnableAtModifier:     true,
			EnableNegativeOffset: true,
			EnablePerStepStats:   true,
			// As Prometheus with its default evaluation interval.
			NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
			Parser:                   p,
		})
		// What is nil or false belongs to endpoints that are not routed, see queryPaths.
		api := v1.NewAPI(
			promstore.Engine{Engine: engine}, queryable, nil, nil, queryable, nil, nil, nil,
			func() config.Config { return config.DefaultConfig },
			nil, v1.GlobalURLOptions{},
			func(f http.HandlerFunc) http.HandlerFunc { return f },
			nil, "", false, false, 0, o.Logger, nil,
			0, o.Query.MaxConcurrent, remoteReadFrame,
			false,
			regexp.MustCompile("^$"), // no page of another origin reads what is stored here
			nil, &v1.PrometheusVersion{
				Version: version.Version, Revision: version.GetRevision(), Branch: version.Branch,
				BuildUser: version.BuildUser, BuildDate: version.BuildDate, GoVersion: version.GoVersion,
			},
			nil, nil, o.Gatherer, prometheus.WrapRegistererWithPrefix("cortex_", o.Registerer), nil,
			false, nil, false, false, false, false, o.Query.LookbackDelta, false, false,
			statusOfQueryError, nil, v1.OpenAPIOptions{IncludePaths: []string{"none"}}, p,
		)
		r := route.New().WithPrefix("/api/v1")
		api.Register(r)
		return r
	})
}

// statusOfQueryError makes our own trouble 503 also where Prometheus, which has no such state, says 422 or 500. Generic
// because the type of Prometheus's error numbers has no exported name.
func statusOfQueryError[T ~int](_ T, err error) (int, bool) {
	return http.StatusServiceUnavailable, guard.IsUnavailable(err)
}

// limitConcurrency lets at most n queries run.
func limitConcurrency(n int, reg prometheus.Registerer, next http.Handler) http.Handler {
	g := gate.New(prometheus.WrapRegistererWithPrefix("cortex_query_", reg), n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.Start(r.Context()); err != nil {
			http.Error(w, err.Error(), guard.StatusClientClosedRequest)
			return
		}
		defer g.Done()
		next.ServeHTTP(w, r)
	})
}

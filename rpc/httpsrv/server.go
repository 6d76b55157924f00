package httpsrv

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/gorilla/mux"
	"github.com/grafana/dskit/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/engine/promstore"
	"github.com/rekindledb/rekindle/rpc/guard"
	"github.com/rekindledb/rekindle/rpc/wire"
)

// Store is what requests need of the engine.
type Store interface {
	// Append has b filled by its Source, stores its samples and returns, when they are as safe as the sync class promises,
	// how many are there now.
	// An *engine.SampleError tells of samples that were refused while the others were stored; any other error means
	// that the sender has to send the request again.
	Append(ctx context.Context, tenant string, b *engine.Batch) (stored int, err error)
	// Metadata calls yield with what is known of a tenant's metric family, or of each if family is empty, until it
	// returns false.
	Metadata(tenant, family string, yield func(family string, all []engine.Description) bool)
}

// Options of a Server. All fields are needed unless said otherwise.
type Options struct {
	Store Store
	// Source returns the series of a tenant, nil if it has none.
	Source func(tenant string) promstore.Source
	// Gate is opened and closed by whoever starts and stops the Store.
	Gate *guard.Gate
	// Admission bounds pushes, those that come by other protocols included.
	Admission *guard.Admission

	// Rates counts what pushes store.
	Rates *guard.Rates

	Tenancy guard.Tenancy
	// Decoder holds the limits of one push.
	Decoder wire.Options
	Query   QueryOptions

	// Config is shown on /config as YAML, secrets masked by their types; Defaults on /config?mode=defaults.
	Config, Defaults any
	// Services is shown on /services.
	Services func() map[string]string

	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
}

// Server is the handlers of all paths.
type Server struct {
	opts  Options
	query func() http.Handler // Prometheus's API, built at the first call
}

// New registers the paths on r and metrics on o.Registerer.
func New(o Options, r *mux.Router) *Server {
	s := &Server{opts: o, query: newQueryAPI(&o, &tenantSource{o.Source})}

	push := newPushHandler(&o)
	for _, path := range pushPaths {
		handle(r, path, push, http.MethodPost)
	}
	s.routeQueries(r)
	handle(r, "/ready", http.HandlerFunc(s.ready), http.MethodGet, http.MethodHead)
	handle(r, "/-/ready", http.HandlerFunc(s.ready), http.MethodGet, http.MethodHead)
	handle(r, "/-/healthy", http.HandlerFunc(healthy), http.MethodGet, http.MethodHead)
	handle(r, "/config", http.HandlerFunc(s.config), http.MethodGet)
	handle(r, "/services", http.HandlerFunc(s.services), http.MethodGet)
	handle(r, "/", http.HandlerFunc(index), http.MethodGet, http.MethodHead)
	return s
}

// Warm builds what the first query would otherwise wait for.
func (s *Server) Warm() { s.query() }

// routeQueries gives every endpoint its own route under every prefix, so that each has its own label in
// cortex_request_duration_seconds and what is not listed is 404.
func (s *Server) routeQueries(r *mux.Router) {
	lazy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.query().ServeHTTP(w, r) })
	limited := limitConcurrency(s.opts.Query.MaxConcurrent, s.opts.Registerer, lazy)
	for _, prefix := range queryPrefixes {
		through := func(h http.Handler) http.Handler {
			return s.withTenant(s.insideGate(http.StripPrefix(prefix, h)))
		}
		for _, q := range queryPaths {
			var methods []string
			if q.get {
				methods = append(methods, http.MethodGet)
			}
			if q.post {
				methods = append(methods, http.MethodPost)
			}
			handle(r, prefix+"/api/v1"+q.path, through(limited), methods...)
		}
		handle(r, prefix+"/api/v1/metadata", through(http.HandlerFunc(s.metadata)), http.MethodGet)
	}
}

// handle names the route, because dskit would otherwise make a name of the path for every request.
func handle(r *mux.Router, path string, h http.Handler, methods ...string) {
	r.Path(path).Methods(methods...).Handler(h).Name(middleware.MakeLabelValue(path))
}

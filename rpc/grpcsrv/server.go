package grpcsrv

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/guard"
	"github.com/rekindledb/rekindle/rpc/wire"
)

// Store is what calls need of the engine.
type Store interface {
	// Append has b filled by its Source, stores its samples and returns, when they are as safe as the sync class promises,
	// how many are there now.
	// An *engine.SampleError tells of samples that were refused while the others were stored; any other error means
	// that the sender has to send the request again.
	Append(ctx context.Context, tenant string, b *engine.Batch) (stored int, err error)
	// Metadata calls yield with what is known of a tenant's metric family, or of each if family is empty, until it
	// returns false.
	Metadata(tenant, family string, yield func(family string, all []engine.Description) bool)
	// Tenants returns the ids of all tenants, sorted.
	Tenants() []string
	// Stats fills st, or returns false if there is no such tenant.
	Stats(tenant string, st *engine.Stats) bool
	// Active is how many series of a tenant have had samples lately, as Cortex counts them.
	Active(tenant string) uint64
}

// Source is the series of a tenant, as *engine.Tenant has them.
type Source interface {
	// Stream calls yield, from several goroutines at a time, with all series that match all of ms and have chunks that
	// overlap [mint, maxt], and a part of those chunks, some series at a time. What yield gets is valid until it returns.
	Stream(ctx context.Context, part engine.Part, mint, maxt int64, yield func([]engine.KeyedSeries) error, ms ...*labels.Matcher) error
	// LabelNames and LabelValues are those of a promstore.Source.
	LabelNames(ctx context.Context, mint, maxt int64, limit int, ms ...*labels.Matcher) ([]string, error)
	LabelValues(ctx context.Context, name string, mint, maxt int64, limit int, ms ...*labels.Matcher) ([]string, error)
}

// Options of a Server. All fields are needed unless said otherwise.
type Options struct {
	Store Store
	// Source returns the series of a tenant, nil if it has none.
	Source func(tenant string) Source
	// Gate is opened and closed by whoever starts and stops the Store.
	Gate *guard.Gate
	// Admission bounds pushes, those that come by other protocols included.
	Admission *guard.Admission
	// Rates counts what pushes store.
	Rates *guard.Rates

	// Transfer takes in what a leaving ingester has.
	Transfer Transfer

	Tenancy guard.Tenancy
	// QueryIngestersWithin is how old what queriers ask ingesters for can be. 0, the default, means that they ask
	// for everything: questions about labels before the oldest sample are then answered from all samples, so that
	// dashboards of earlier times find their labels. Flag -querier.query-ingesters-within.
	QueryIngestersWithin time.Duration

	Registerer prometheus.Registerer
}

// Server is the methods of cortex.Ingester.
type Server struct {
	opts     Options
	requests sync.Pool // of *request
	unsorted *prometheus.CounterVec
}

// New registers metrics on o.Registerer.
func New(o Options) *Server {
	s := &Server{opts: o}
	s.requests.New = func() any {
		r := &request{decoder: wire.NewDecoder(wire.DistributorOptions())}
		r.batch.Source = r
		return r
	}
	s.unsorted = promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{
		Name: "cortex_ingester_out_of_order_labels_total",
		Help: "Pushes refused because a series' labels were not sorted. A distributor sends that only if something is wrong with it.",
	}, []string{"user"})
	return s
}

// ServerOptions are what a grpc.Server needs for a Server to be registered on it.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ForceServerCodecV2(newCodec()), experimental.BufferPool(buffers)}
}

// Register registers the service on r, which was made with ServerOptions.
func (s *Server) Register(r grpc.ServiceRegistrar) { r.RegisterService(&service, s) }

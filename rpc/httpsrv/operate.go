package httpsrv

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/rekindledb/rekindle/rpc/guard"
	"github.com/rekindledb/rekindle/rpc/ring"
)

// Operator is what operators and the machines that roll instances out ask of this instance.
type Operator interface {
	// Mode is ACTIVE or READONLY, and since when, zero if always.
	Mode() (ring.State, time.Time)
	SetMode(ctx context.Context, mode ring.State) error
	RenewTokens(ctx context.Context, part float64) error
	PrepareShutdown(on bool) error
	ShutdownPrepared() (bool, error)

	// Flush makes what tenants have safe and a restart short, all tenants if none is named.
	Flush(ctx context.Context, tenants []string) error
	// Shutdown refuses pushes, flushes, and takes this instance out of the ring. The process lives on and answers queries.
	Shutdown(ctx context.Context) error

	Tenants() []TenantStats

	Look(ctx context.Context) (*ring.Desc, error)
	Forget(ctx context.Context, id string) error
	HeartbeatTimeout() time.Duration
}

// OperatorOptions are those of the operator's paths. All fields are needed.
type OperatorOptions struct {
	Operator Operator
	Gate     *guard.Gate
	// ChangeByGet lets GET do what POST does on the paths where Cortex does so.
	ChangeByGet bool
	Memberlist  http.Handler
	Logger      *slog.Logger
}

// operations are the operator's handlers.
type operations struct{ OperatorOptions }

// RouteOperator registers the operator's paths. Those that change something log who called them.
func RouteOperator(o OperatorOptions, r *mux.Router) {
	s := operations{o}
	change := []string{http.MethodPost}
	if o.ChangeByGet {
		change = append(change, http.MethodGet)
	}
	for path, h := range map[string]http.HandlerFunc{
		"/flush": s.flush, "/ingester/flush": s.flush,
		"/shutdown": s.shutdown, "/ingester/shutdown": s.shutdown,
		"/ingester/mode":        s.mode,
		"/ingester/renewTokens": s.renewTokens,
	} {
		handle(r, path, s.logged(h), change...)
	}
	for path, h := range map[string]http.HandlerFunc{
		"/ingester/prepare-shutdown":                s.prepareShutdown,
		"/ingester/prepare-instance-ring-downscale": s.prepareDownscale,
		"/ingester/prepare-partition-downscale":     noPartitions,
	} {
		handle(r, path, s.logged(h), http.MethodGet, http.MethodPost, http.MethodDelete)
	}
	for _, path := range []string{"/ring", "/ingester/ring"} {
		handle(r, path, s.logged(s.ring), http.MethodGet, http.MethodPost)
	}
	handle(r, "/ingester/all_user_stats", http.HandlerFunc(s.allUserStats), http.MethodGet)
	handle(r, "/memberlist", o.Memberlist, http.MethodGet)
}

// logged logs calls that may change something. Anybody who reaches the port can make them.
func (s *operations) logged(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet && (strings.HasPrefix(r.URL.Path, "/ingester/prepare-") || strings.HasSuffix(r.URL.Path, "/ring"))
		if !reads {
			s.Logger.Info("operator", "method", r.Method, "path", r.URL.RequestURI(), "caller", r.RemoteAddr,
				"forwarded_for", r.Header.Get("X-Forwarded-For"), "user_agent", r.UserAgent())
		}
		h(w, r)
	})
}

// flush is /flush?tenant=...&wait=true. There is no long-term storage yet: what it does is write images.
func (s *operations) flush(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, fmt.Sprintf("the form cannot be read: %v", err), http.StatusBadRequest)
		return
	}
	if no := s.Gate.Enter(); no != nil {
		write(w, no)
		return
	}
	tenants := slices.Clone(r.Form["tenant"])
	do := func(ctx context.Context) {
		defer s.Gate.Leave()
		if err := s.Operator.Flush(ctx, tenants); err != nil {
			s.Logger.Error("flush failed", "tenants", tenants, "err", err)
		}
	}
	if r.Form.Get("wait") == "true" {
		do(r.Context())
	} else {
		go do(context.WithoutCancel(r.Context()))
	}
	w.Header().Set("X-Rekindle-Flush", "images written to the data directory; there is no long-term storage yet")
	w.WriteHeader(http.StatusNoContent)
}

func (s *operations) shutdown(w http.ResponseWriter, r *http.Request) {
	// It goes on when the caller loses patience.
	if err := s.Operator.Shutdown(context.WithoutCancel(r.Context())); err != nil {
		s.Logger.Error("shutdown by request failed", "err", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *operations) mode(w http.ResponseWriter, r *http.Request) {
	name := strings.ToUpper(r.FormValue("mode"))
	mode, ok := ring.ParseState(name)
	if !ok || mode != ring.Active && mode != ring.ReadOnly {
		http.Error(w, fmt.Sprintf("mode %q is unknown: READONLY and ACTIVE are", r.FormValue("mode")), http.StatusBadRequest)
		return
	}
	if err := s.Operator.SetMode(r.Context(), mode); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "Ingester mode %s", mode)
}

// renewedPart of the tokens is what Cortex replaces at a call.
const renewedPart = 0.1

func (s *operations) renewTokens(w http.ResponseWriter, r *http.Request) {
	if err := s.Operator.RenewTokens(r.Context(), renewedPart); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *operations) prepareShutdown(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		set, err := s.Operator.ShutdownPrepared()
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		case set:
			fmt.Fprintln(w, "set")
		default:
			fmt.Fprintln(w, "unset")
		}
		return
	}
	if err := s.Operator.PrepareShutdown(r.Method == http.MethodPost); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// prepareDownscale is READONLY by another name, and answers since when that is, 0 if it is not.
func (s *operations) prepareDownscale(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.Method {
	case http.MethodPost:
		err = s.Operator.SetMode(r.Context(), ring.ReadOnly)
	case http.MethodDelete:
		err = s.Operator.SetMode(r.Context(), ring.Active)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	mode, since := s.Operator.Mode()
	at := int64(0)
	if mode == ring.ReadOnly {
		at = since.Unix()
	}
	writeJSON(w, http.StatusOK, map[string]int64{"timestamp": at})
}

func noPartitions(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "this ingester has no partitions: it takes writes from distributors, not from Kafka", http.StatusNotFound)
}

package httpsrv

import (
	"net/http"

	"github.com/grafana/dskit/user"

	"github.com/rekindledb/rekindle/rpc/guard"
)

// tenantOf returns the tenant of r, or what to refuse it with.
func tenantOf(t guard.Tenancy, r *http.Request) (string, *guard.Refusal) {
	return t.Of(r.Header.Get(user.OrgIDHeaderName))
}

// withTenant hands the tenant down in the context.
func (s *Server) withTenant(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, no := tenantOf(s.opts.Tenancy, r)
		if no != nil {
			write(w, no)
			return
		}
		next.ServeHTTP(w, r.WithContext(user.InjectOrgID(r.Context(), id)))
	})
}

// insideGate admits a query, which ends when the gate closes.
func (s *Server) insideGate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, leave, no := s.opts.Gate.EnterQuery(r.Context())
		if no != nil {
			write(w, no)
			return
		}
		defer leave()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

package httpsrv

import (
	"net/http"

	"github.com/grafana/dskit/user"

	"github.com/rekindledb/rekindle/engine"
)

// Tenancy decides whose a request is.
type Tenancy struct {
	// Required refuses requests without a tenant.
	Required bool
	// Default is the tenant of requests without one, unless Required.
	Default string
}

// of returns the tenant of r, or the status and text to refuse it with.
func (t Tenancy) of(r *http.Request) (string, *refusal) {
	id := r.Header.Get(user.OrgIDHeaderName)
	if id == "" {
		if t.Required {
			return "", &refusal{code: http.StatusUnauthorized, text: user.ErrNoOrgID.Error()}
		}
		return t.Default, nil
	}
	if err := engine.ValidTenant(id); err != nil {
		return "", &refusal{code: http.StatusBadRequest, text: err.Error()}
	}
	return id, nil
}

// wrap hands the tenant down in the context.
func (t Tenancy) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, no := t.of(r)
		if no != nil {
			no.write(w)
			return
		}
		next.ServeHTTP(w, r.WithContext(user.InjectOrgID(r.Context(), id)))
	})
}

package httpsrv

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/grafana/dskit/tenant"
	"github.com/grafana/dskit/user"
)

// ValidTenant says whether id can name a tenant. An id becomes the name of a directory and of objects in a bucket:
// letters, digits and ! - _ . * ' ( ), at most 150 bytes, no name that means something else there. Directories of
// our own begin with @, which no tenant can.
func ValidTenant(id string) error {
	switch id {
	case "":
		return errors.New("tenant ID is empty")
	case "__markers__", "user-index.json.gz":
		return fmt.Errorf("tenant ID %q is reserved", id)
	}
	return tenant.ValidTenantID(id)
}

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
	if err := ValidTenant(id); err != nil {
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

package guard

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

// Of returns the tenant of a request that names id, which is empty if it names none. The id can be used as a path.
func (t Tenancy) Of(id string) (string, *Refusal) {
	if id == "" {
		if t.Required {
			return "", &Refusal{Code: http.StatusUnauthorized, Text: user.ErrNoOrgID.Error()}
		}
		return t.Default, nil
	}
	if err := engine.ValidTenant(id); err != nil {
		return "", &Refusal{Code: http.StatusBadRequest, Text: err.Error()}
	}
	return id, nil
}

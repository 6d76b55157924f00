package guard

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/rekindledb/rekindle/engine"
)

// StatusClientClosedRequest is what Prometheus and nginx say when the client left before the answer.
const StatusClientClosedRequest = 499

// Refusal is an answer other than success.
type Refusal struct {
	Code       int // an HTTP status; 4xx: do not send this again
	Text       string
	RetryAfter time.Duration // with 503: when to come back; 0 if it is not known
}

// Unavailable refuses for a reason of our own: the sender comes again.
func Unavailable(text string, retryAfter time.Duration) *Refusal {
	return &Refusal{Code: http.StatusServiceUnavailable, Text: text, RetryAfter: retryAfter}
}

// RefusalOf tells the sender what an error of the engine means; nil is success. ctx is the request's.
func RefusalOf(ctx context.Context, err error) *Refusal {
	var bad *engine.SampleError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &bad), errors.Is(err, engine.ErrBadTenant):
		return &Refusal{Code: http.StatusBadRequest, Text: err.Error()}
	case IsUnavailable(err):
		return Unavailable(err.Error(), 0)
	case ctx.Err() != nil:
		return &Refusal{Code: StatusClientClosedRequest, Text: err.Error()}
	default:
		return &Refusal{Code: http.StatusInternalServerError, Text: err.Error()}
	}
}

// IsUnavailable reports whether err is our own trouble.
func IsUnavailable(err error) bool { return errors.Is(err, engine.ErrUnavailable) }

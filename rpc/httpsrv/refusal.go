package httpsrv

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// refusal is an answer other than success.
type refusal struct {
	code       int
	text       string
	retryAfter time.Duration // with 503: when to come back
}

func unavailable(text string, retryAfter time.Duration) *refusal {
	return &refusal{code: http.StatusServiceUnavailable, text: text, retryAfter: retryAfter}
}

func (no *refusal) write(w http.ResponseWriter) {
	if no.code == http.StatusServiceUnavailable {
		// Whole seconds, and never 0: senders take that for "at once".
		s := max(1, int(math.Ceil(no.retryAfter.Seconds())))
		w.Header().Set("Retry-After", strconv.Itoa(s))
	}
	http.Error(w, no.text, no.code)
}

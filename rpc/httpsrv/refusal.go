package httpsrv

import (
	"math"
	"net/http"
	"strconv"

	"github.com/rekindledb/rekindle/rpc/guard"
)

func write(w http.ResponseWriter, no *guard.Refusal) {
	if no.Code == http.StatusServiceUnavailable {
		// Whole seconds, and never 0: senders take that for "at once".
		s := max(1, int(math.Ceil(no.RetryAfter.Seconds())))
		w.Header().Set("Retry-After", strconv.Itoa(s))
	}
	http.Error(w, no.Text, no.Code)
}

package httpsrv

import (
	"fmt"
	"net/http"
	"time"
)

// Status says why the engine is not ready.
type Status struct {
	Text string        // phase, percent, seconds left
	Left time.Duration // the same for programs; 0 or less if it is not known
}

// ready answers readiness probes: 200 as long as pushes and queries are taken.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if no := s.opts.Gate.enter(); no != nil {
		no.write(w)
		return
	}
	s.opts.Gate.inside.Done()
	fmt.Fprintln(w, "ready")
}

// healthy answers liveness probes: 200 as long as the process answers at all. A long recovery is not ill health.
func healthy(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "healthy")
}

package httpsrv

import (
	"fmt"
	"net/http"
)

// ready answers readiness probes: 200 as long as pushes and queries are taken.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if no := s.opts.Gate.Ready(); no != nil {
		write(w, no)
		return
	}
	fmt.Fprintln(w, "ready")
}

// healthy answers liveness probes: 200 as long as the process answers at all. A long recovery is not ill health.
func healthy(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "healthy")
}

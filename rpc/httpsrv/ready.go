package httpsrv

import (
	"fmt"
	"net/http"
	"time"
)

// Status is how far the engine is.
type Status struct {
	Ready bool
	// Phase says what it does or why it is not ready, in a word or a sentence.
	Phase string
	// Percent of the phases until ready that are done, 0 to 100, and the time that the rest will take; 0 if not known.
	Percent float64
	Left    time.Duration
}

func (s Status) text() string {
	text := "not ready: " + s.Phase
	if s.Percent > 0 {
		text += fmt.Sprintf(", %.0f %%", s.Percent)
	}
	if s.Left > 0 {
		text += fmt.Sprintf(", %.1f s left", s.Left.Seconds())
	}
	return text
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

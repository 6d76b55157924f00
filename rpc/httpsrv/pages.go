package httpsrv

import (
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"gopkg.in/yaml.v3"
)

//go:embed index.html
var indexPage []byte

// index answers / with one file: links, and a field to type a query into. It asks for nothing from elsewhere.
func index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'self' 'unsafe-inline'")
	_, _ = w.Write(indexPage) // the client went away
}

// config answers /config: the settings in force, ?mode=defaults those of a start without arguments,
// ?mode=diff what differs between the two.
func (s *Server) config(w http.ResponseWriter, r *http.Request) {
	now, err := tree(s.opts.Config)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defaults, err := tree(s.opts.Defaults)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var show any
	switch mode := r.URL.Query().Get("mode"); mode {
	case "":
		show = now
	case "defaults":
		show = defaults
	case "diff":
		show = diff(now, defaults)
	default:
		http.Error(w, fmt.Sprintf("mode %q is unknown: leave it out, or say defaults or diff", mode), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/yaml; charset=utf-8")
	_ = yaml.NewEncoder(w).Encode(show) // the client went away
}

// tree returns v as YAML would show it.
func tree(v any) (map[string]any, error) {
	b, err := yaml.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("httpsrv: show settings: %w", err)
	}
	var t map[string]any
	return t, yaml.Unmarshal(b, &t)
}

// diff returns the entries of now that are not the same in was.
func diff(now, was map[string]any) map[string]any {
	d := map[string]any{}
	for k, v := range now {
		if sub, ok := v.(map[string]any); ok {
			old, _ := was[k].(map[string]any)
			if below := diff(sub, old); len(below) > 0 {
				d[k] = below
			}
		} else if fmt.Sprint(v) != fmt.Sprint(was[k]) {
			d[k] = v
		}
	}
	return d
}

// services answers /services: a line for each part of the process and its state.
func (s *Server) services(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	states := s.opts.Services()
	for _, name := range slices.Sorted(maps.Keys(states)) {
		fmt.Fprintf(w, "%s => %s\n", name, states[name])
	}
}

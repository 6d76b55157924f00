package httpsrv

import (
	_ "embed"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rekindledb/rekindle/rpc/ring"
)

//go:embed tables.html
var tablesPage string

// tables are the pages that list something. They are parsed when the first is asked for: not before the process is ready.
var tables = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Parse(tablesPage))
})

// wantsJSON is how scripts ask.
func wantsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}

func writePage(w http.ResponseWriter, name string, v any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'self' 'unsafe-inline'")
	_ = tables().ExecuteTemplate(w, name, v) // the client went away
}

// ringPage has the JSON of Cortex's page; what is not in it is for the HTML.
type ringPage struct {
	Shards             []ringMember `json:"shards"`
	Now                time.Time    `json:"now"`
	StorageLastUpdated time.Time    `json:"storageLastUpdated"`
	ShowTokens         bool         `json:"-"`
}

type ringMember struct {
	ID         string   `json:"id"`
	State      string   `json:"state"`
	Address    string   `json:"address"`
	Timestamp  string   `json:"timestamp"`
	Registered string   `json:"registered_timestamp"`
	Zone       string   `json:"zone"`
	Tokens     []uint32 `json:"tokens"`
	Percent    float64  `json:"-"`
	ReadOnly   bool     `json:"-"`
}

// ring answers /ring. A POST of forget=<id> takes an instance out of it.
func (s *operations) ring(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		if err := s.Operator.Forget(r.Context(), r.FormValue("forget")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		// Relative, so that it is right behind any proxy, and a reload does not forget again.
		w.Header().Set("Location", "#")
		w.WriteHeader(http.StatusFound)
		return
	}
	d, err := s.Operator.Look(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	page := newRingPage(d, s.Operator.HeartbeatTimeout(), time.Now())
	page.ShowTokens = r.URL.Query().Get("tokens") == "true"
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, page)
		return
	}
	writePage(w, "ring", page)
}

func newRingPage(d *ring.Desc, timeout time.Duration, now time.Time) ringPage {
	page := ringPage{Shards: []ringMember{}, Now: now, StorageLastUpdated: now}
	parts := d.Ownership()
	for _, id := range slices.Sorted(maps.Keys(d.Instances)) {
		in := d.Instances[id]
		m := ringMember{
			ID: id, State: in.State.String(), Address: in.Addr, Timestamp: time.Unix(in.Timestamp, 0).String(), Zone: in.Zone,
			Tokens: in.Tokens, Percent: 100 * parts[id], ReadOnly: in.ReadOnly,
		}
		if !in.Healthy(now, timeout) {
			m.State = "Unhealthy"
		}
		if in.Registered > 0 {
			m.Registered = time.Unix(in.Registered, 0).String()
		}
		page.Shards = append(page.Shards, m)
	}
	return page
}

// TenantStats are what a tenant has and sends, with the JSON of Cortex. Rates are samples a second.
type TenantStats struct {
	Tenant            string  `json:"userID"`
	IngestionRate     float64 `json:"ingestionRate"`
	NumSeries         uint64  `json:"numSeries"`
	APIIngestionRate  float64 `json:"APIIngestionRate"`
	RuleIngestionRate float64 `json:"RuleIngestionRate"`
	ActiveSeries      uint64  `json:"activeSeries"`
	LoadedBlocks      uint64  `json:"loadedBlocks"`
	QueriedIngesters  uint64  `json:"queriedIngesters"`
}

func (s *operations) allUserStats(w http.ResponseWriter, r *http.Request) {
	if no := s.Gate.Enter(); no != nil {
		write(w, no)
		return
	}
	defer s.Gate.Leave()
	list := s.Operator.Tenants()
	slices.SortFunc(list, func(a, b TenantStats) int { return int(min(max(b.IngestionRate-a.IngestionRate, -1), 1)) })
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, list)
		return
	}
	writePage(w, "tenants", list)
}

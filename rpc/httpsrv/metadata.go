package httpsrv

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/grafana/dskit/user"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"

	"github.com/rekindledb/rekindle/engine"
)

// metricTypes are remote write's numbers of the types of metric families.
var metricTypes = [...]model.MetricType{
	model.MetricTypeUnknown, model.MetricTypeCounter, model.MetricTypeGauge, model.MetricTypeHistogram,
	model.MetricTypeGaugeHistogram, model.MetricTypeSummary, model.MetricTypeInfo, model.MetricTypeStateset,
}

// metadata answers /api/v1/metadata. Prometheus's own handler reads the metadata of scrape targets, of which there are none.
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	limit, err := formInt(r, "limit")
	if err != nil {
		writeAPIError(w, "limit must be a number")
		return
	}
	perMetric, err := formInt(r, "limit_per_metric")
	if err != nil {
		writeAPIError(w, "limit_per_metric must be a number")
		return
	}
	id, err := user.ExtractOrgID(r.Context())
	if err != nil {
		writeAPIError(w, err.Error())
		return
	}
	families := map[string][]metadata.Metadata{}
	s.opts.Store.Metadata(id, r.FormValue("metric"), func(family string, all []engine.Description) bool {
		if limit >= 0 && len(families) >= limit {
			return false
		}
		if perMetric > 0 {
			all = all[:min(perMetric, len(all))]
		}
		for _, d := range all {
			families[family] = append(families[family], metadataOf(d))
		}
		return true
	})
	writeJSON(w, http.StatusOK, map[string]any{"status": "success", "data": families})
}

func metadataOf(m engine.Description) metadata.Metadata {
	t := model.MetricTypeUnknown
	if int(m.Type) < len(metricTypes) {
		t = metricTypes[m.Type]
	}
	return metadata.Metadata{Type: t, Help: m.Help, Unit: m.Unit}
}

// formInt returns -1, no limit, if the value is not given.
func formInt(r *http.Request, name string) (int, error) {
	v := r.FormValue(name)
	if v == "" {
		return -1, nil
	}
	return strconv.Atoi(v)
}

func writeAPIError(w http.ResponseWriter, text string) {
	writeJSON(w, http.StatusBadRequest, map[string]any{"status": "error", "errorType": "bad_data", "error": text})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client went away
}

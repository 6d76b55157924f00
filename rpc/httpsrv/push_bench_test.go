package httpsrv

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gorilla/mux"
	"github.com/klauspost/compress/s2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/prompb"

	"github.com/rekindledb/rekindle/rpc/guard"
	"github.com/rekindledb/rekindle/rpc/wire"
)

// BenchmarkPush measures what a request costs outside of the engine: route, tenant, admission, body, decode. The
// network and dskit's middleware are not in it.
func BenchmarkPush(b *testing.B) {
	for _, series := range []int{1, 500} {
		b.Run(fmt.Sprintf("series=%d", series), func(b *testing.B) {
			body := benchBody(b, series)
			gate := guard.NewGate(func() guard.Status { return guard.Status{} })
			gate.Open()
			store := &fake{discard: true}
			h := newPushHandler(&Options{
				Store: store, Gate: gate, Tenancy: guard.Tenancy{Default: "anonymous"}, Decoder: wire.DefaultOptions(), Rates: new(guard.Rates),
				Admission: guard.NewAdmission(guard.Limits{MaxRequests: 100, MaxBytes: 1 << 30}, prometheus.NewRegistry()),
			})
			r := mux.NewRouter()
			handle(r, pushPaths[0], h, http.MethodPost)
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				w := httptest.NewRecorder()
				r.ServeHTTP(w, httptest.NewRequest(http.MethodPost, pushPaths[0], bytes.NewReader(body)))
				if w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*series), "ns/sample")
		})
	}
}

func benchBody(b *testing.B, series int) []byte {
	var req prompb.WriteRequest
	for i := range series {
		ts := prompb.TimeSeries{Samples: []prompb.Sample{{Timestamp: 1_700_000_000_000, Value: float64(i)}}}
		for _, l := range [][2]string{
			{"__name__", fmt.Sprintf("http_requests_%d_total", i)},
			{"cluster", "prod-eu-central-1"},
			{"instance", "10.27.151.9:9090"},
			{"job", "payments/checkout"},
			{"namespace", "payments"},
			{"pod", "checkout-3-7f9c5d8b64-x2wqk"},
		} {
			ts.Labels = append(ts.Labels, prompb.Label{Name: l[0], Value: l[1]})
		}
		req.Timeseries = append(req.Timeseries, ts)
	}
	raw, err := req.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	return s2.EncodeSnappy(nil, raw)
}

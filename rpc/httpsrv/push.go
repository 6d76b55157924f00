package httpsrv

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"sync"

	"github.com/klauspost/compress/s2"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/guard"
	"github.com/rekindledb/rekindle/rpc/wire"
)

// pushPaths take remote write: Cortex's path, Prometheus's, the ingester's two, and the legacy prefix.
var pushPaths = []string{"/api/v1/push", "/api/v1/write", "/push", "/ingester/push", "/api/prom/push"}

// pushHandler takes remote write.
type pushHandler struct {
	store     Store
	gate      *guard.Gate
	tenancy   guard.Tenancy
	admission *guard.Admission
	rates     *guard.Rates
	maxBody   int64
	requests  sync.Pool // of *request
}

// request is the memory that one push needs, kept for the next.
type request struct {
	version wire.Version
	body    []byte
	decoder *wire.Decoder
	batch   engine.Batch
	failed  error // of decoder
}

// Fill implements engine.Source.
func (r *request) Fill(b *engine.Batch) error {
	r.failed = r.decoder.Decode(r.version, r.body, b)
	return r.failed
}

// requestKeepMax is the size of a body above which a request's memory is not kept: the pool would otherwise
// hold the memory of the largest one as often as there are cores.
const requestKeepMax = 4 << 20

func newPushHandler(o *Options) *pushHandler {
	h := &pushHandler{
		store:     o.Store,
		gate:      o.Gate,
		tenancy:   o.Tenancy,
		admission: o.Admission,
		rates:     o.Rates,
		maxBody:   int64(o.Decoder.MaxMessageSize),
	}
	h.requests.New = func() any {
		r := &request{decoder: wire.NewDecoder(o.Decoder)}
		r.batch.Source = r
		return r
	}
	return h
}

func (h *pushHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	version, no := negotiate(r)
	if no != nil {
		write(w, no)
		return
	}
	stored, no := h.push(r, version)
	if version == wire.V2 {
		// Counted also when the answer is an error: the sender learns how much of the request was kept.
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(stored))
		w.Header().Set("X-Prometheus-Remote-Write-Histograms-Written", "0")
		w.Header().Set("X-Prometheus-Remote-Write-Exemplars-Written", "0")
	}
	switch {
	case no != nil:
		write(w, no)
	case version == wire.V2:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

// push takes one request through the steps that the package comment lists.
func (h *pushHandler) push(r *http.Request, version wire.Version) (stored int, no *guard.Refusal) {
	tenant, no := tenantOf(h.tenancy, r)
	if no != nil {
		return 0, no
	}
	ticket, no := h.admission.Enter()
	if no != nil {
		return 0, no
	}
	defer ticket.Leave()

	if no := h.gate.EnterPush(r.Context()); no != nil {
		return 0, no
	}
	defer h.gate.Leave()

	req := h.requests.Get().(*request)
	defer func() {
		if cap(req.body) <= requestKeepMax {
			h.requests.Put(req)
		}
	}()
	if no := h.read(r, req, &ticket); no != nil {
		return 0, no
	}
	req.version, req.failed = version, nil
	stored, err := h.store.Append(r.Context(), tenant, &req.batch)
	if req.failed != nil {
		return 0, &guard.Refusal{Code: http.StatusBadRequest, Text: req.failed.Error()}
	}
	h.rates.Add(tenant, false, stored)
	return stored, guard.RefusalOf(r.Context(), err)
}

// read reads the body into req, having asked for the memory that it and its decompressed form will take.
func (h *pushHandler) read(r *http.Request, req *request, ticket *guard.Ticket) *guard.Refusal {
	size := r.ContentLength
	if size > h.maxBody {
		return &guard.Refusal{Code: http.StatusBadRequest, Text: (&wire.SizeError{Size: int(size), Max: int(h.maxBody)}).Error()}
	}
	if size < 0 {
		size = h.maxBody // a chunked body does not say
	}
	if no := ticket.Take(size); no != nil {
		return no
	}
	var err error
	req.body, err = readAll(req.body[:0], r.Body, r.ContentLength, h.maxBody)
	switch {
	case errors.Is(err, errBodyTooLarge):
		return &guard.Refusal{Code: http.StatusBadRequest, Text: err.Error()}
	case err != nil:
		// The sender broke off or was too slow. Whatever the request holds, it should come again.
		return guard.Unavailable(fmt.Sprintf("read request body: %v", err), 0)
	}
	ticket.Give(size - int64(len(req.body)))
	if n, err := s2.DecodedLen(req.body); err == nil && int64(n) <= h.maxBody { // else Decode refuses it
		return ticket.Take(int64(n))
	}
	return nil
}

// negotiate finds out what the body is. An absent content type is remote write 1.0, as in Cortex.
func negotiate(r *http.Request) (wire.Version, *guard.Refusal) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "snappy" {
		return 0, unsupported("Content-Encoding %q is not supported: remote write is compressed with snappy (block format)", enc)
	}
	contentType := r.Header.Get("Content-Type")
	if contentType == "" {
		return wire.V1, nil
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/x-protobuf" {
		return 0, unsupported("Content-Type %q is not supported: remote write is application/x-protobuf", contentType)
	}
	switch proto := params["proto"]; proto {
	case "", "prometheus.WriteRequest":
		return wire.V1, nil
	case "io.prometheus.write.v2.Request":
		return wire.V2, nil
	default:
		return 0, unsupported("protobuf message %q is not supported: prometheus.WriteRequest and io.prometheus.write.v2.Request are", proto)
	}
}

func unsupported(format string, args ...any) *guard.Refusal {
	return &guard.Refusal{Code: http.StatusUnsupportedMediaType, Text: fmt.Sprintf(format, args...)}
}

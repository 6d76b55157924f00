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
	"github.com/rekindledb/rekindle/rpc/wire"
)

// pushPaths take remote write: Cortex's path, Prometheus's, the ingester's two, and the legacy prefix.
var pushPaths = []string{"/api/v1/push", "/api/v1/write", "/push", "/ingester/push", "/api/prom/push"}

// statusClientClosedRequest is what Prometheus and nginx say when the client left before the answer.
const statusClientClosedRequest = 499

// PushOptions bound what a request and all of them together may take.
type PushOptions struct {
	// Decoder holds the limits of one request.
	Decoder wire.Options
	// MaxInflight requests and MaxInflightBytes of bodies, compressed and not, are worked on at a time; more
	// are answered 503. 0 means no limit.
	MaxInflight, MaxInflightBytes int64
}

// pushHandler takes remote write.
type pushHandler struct {
	store     Store
	gate      *Gate
	tenancy   Tenancy
	admission *admission
	maxBody   int64
	requests  sync.Pool // of *request
}

// request is the memory that one push needs, kept for the next.
type request struct {
	body    []byte
	decoder *wire.Decoder
	batch   engine.Batch
}

// requestKeepMax is the size of a body above which a request's memory is not kept: the pool would otherwise
// hold the memory of the largest one as often as there are cores.
const requestKeepMax = 4 << 20

func newPushHandler(o *Options) *pushHandler {
	h := &pushHandler{
		store:     o.Store,
		gate:      o.Gate,
		tenancy:   o.Tenancy,
		admission: newAdmission(o.Push, o.Registerer),
		maxBody:   int64(o.Push.Decoder.MaxMessageSize),
	}
	h.requests.New = func() any { return &request{decoder: wire.NewDecoder(o.Push.Decoder)} }
	return h
}

func (h *pushHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	version, no := negotiate(r)
	if no != nil {
		no.write(w)
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
		no.write(w)
	case version == wire.V2:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

// push takes one request through the steps that the package comment lists.
func (h *pushHandler) push(r *http.Request, version wire.Version) (stored int, no *refusal) {
	tenant, no := h.tenancy.of(r)
	if no != nil {
		return 0, no
	}
	if no := h.gate.enter(); no != nil {
		return 0, no
	}
	defer h.gate.inside.Done()

	ticket, no := h.admission.enter()
	if no != nil {
		return 0, no
	}
	defer ticket.leave()

	req := h.requests.Get().(*request)
	defer func() {
		if cap(req.body) <= requestKeepMax {
			h.requests.Put(req)
		}
	}()
	if no := h.read(r, req, ticket); no != nil {
		return 0, no
	}
	if err := req.decoder.Decode(version, req.body, &req.batch); err != nil {
		return 0, &refusal{code: http.StatusBadRequest, text: err.Error()}
	}
	stored, err := h.store.Append(r.Context(), tenant, &req.batch)
	return stored, refusalOf(r, err)
}

// read reads the body into req, having asked for the memory that it and its decompressed form will take.
func (h *pushHandler) read(r *http.Request, req *request, ticket *ticket) *refusal {
	size := r.ContentLength
	if size > h.maxBody {
		return &refusal{code: http.StatusBadRequest, text: (&wire.SizeError{Size: int(size), Max: int(h.maxBody)}).Error()}
	}
	if size < 0 {
		size = h.maxBody // a chunked body does not say
	}
	if no := ticket.take(size); no != nil {
		return no
	}
	var err error
	req.body, err = readAll(req.body[:0], r.Body, r.ContentLength, h.maxBody)
	switch {
	case errors.Is(err, errBodyTooLarge):
		return &refusal{code: http.StatusBadRequest, text: err.Error()}
	case err != nil:
		// The sender broke off or was too slow. Whatever the request holds, it should come again.
		return unavailable(fmt.Sprintf("read request body: %v", err), 0)
	}
	ticket.give(size - int64(len(req.body)))
	if n, err := s2.DecodedLen(req.body); err == nil && int64(n) <= h.maxBody { // else Decode refuses it
		return ticket.take(int64(n))
	}
	return nil
}

// negotiate finds out what the body is. An absent content type is remote write 1.0, as in Cortex.
func negotiate(r *http.Request) (wire.Version, *refusal) {
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

func unsupported(format string, args ...any) *refusal {
	return &refusal{code: http.StatusUnsupportedMediaType, text: fmt.Sprintf(format, args...)}
}

// refusalOf tells the sender what became of its samples; nil means that all are stored.
func refusalOf(r *http.Request, err error) *refusal {
	var bad *engine.SampleError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &bad), errors.Is(err, engine.ErrBadTenant):
		return &refusal{code: http.StatusBadRequest, text: err.Error()}
	case isUnavailable(err):
		return unavailable(err.Error(), 0)
	case r.Context().Err() != nil:
		return &refusal{code: statusClientClosedRequest, text: err.Error()}
	default:
		return &refusal{code: http.StatusInternalServerError, text: err.Error()}
	}
}

func isUnavailable(err error) bool { return errors.Is(err, engine.ErrUnavailable) }

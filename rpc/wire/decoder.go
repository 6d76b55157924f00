package wire

import (
	"fmt"
	"unsafe"

	"github.com/klauspost/compress/s2"

	"github.com/rekindledb/rekindle/engine"
)

// Version is that of the remote write protocol: which message a body holds.
type Version uint8

const (
	V1 Version = 1 // prometheus.WriteRequest; cortexpb.WriteRequest is read by the same fields
	V2 Version = 2 // io.prometheus.write.v2.Request
)

// Options are a decoder's limits. A zero field means no limit, except where it says otherwise.
type Options struct {
	// MaxMessageSize is the most bytes of a body, before and after Snappy. Flag -distributor.max-recv-msg-size.
	// Zero and everything above 1 GiB mean 1 GiB.
	MaxMessageSize int
	// MaxBatchSize is the most bytes that a column of the batch may take: a hostile body can name one long
	// symbol a million times, or hold samples of two bytes. No honest body comes near the default, 256 MiB,
	// which zero stands for.
	MaxBatchSize int
	// MaxKeySize is the most bytes of one series' labels in canonical form. Zero means 64 KiB, which
	// is the most that the engine takes.
	MaxKeySize int
	// MaxLabelNames is the most labels of a series. Flag -validation.max-label-names-per-series.
	MaxLabelNames int
	// MaxNameLength is the most bytes of a label's name. Flag -validation.max-length-label-name.
	MaxNameLength int
	// MaxValueLength is the most bytes of a label's value, the metric's name included. Flag
	// -validation.max-length-label-value.
	MaxValueLength int
	// MaxMetadataLength is the most bytes of a family's name, help and unit each. Flag
	// -validation.max-metadata-length.
	MaxMetadataLength int

	// The two below are for what comes from a distributor, which has decided about names and has sorted labels.

	// Nameless takes 1.0 series without a label __name__.
	Nameless bool
	// SortedOnly fails a 1.0 request that has labels out of order with an *OrderError, in place of sorting them:
	// nobody sends that but a distributor whose memory was overwritten.
	SortedOnly bool
}

const (
	messageSizeMax      = 1 << 30 // positions fit 32 bits
	batchSizeDefault    = 256 << 20
	keySizeDefault      = 64 << 10
	bodyKeepMax         = 8 << 20 // a larger buffer is dropped as soon as a body of usual size follows
	snappyExpansionMost = 22      // the densest element, 3 bytes, stands for 64
)

// DefaultOptions are Cortex's limits for what senders push directly. Behind a distributor, which has its own
// limits per tenant and has applied them, use DistributorOptions.
func DefaultOptions() Options {
	return Options{
		MaxMessageSize:    100 << 20,
		MaxLabelNames:     30,
		MaxNameLength:     1024,
		MaxValueLength:    2048,
		MaxMetadataLength: 1024,
	}
}

// DistributorOptions are for requests that come from a distributor: it has applied the limits of the tenant, and a second
// opinion would lose data.
func DistributorOptions() Options { return Options{Nameless: true, SortedOnly: true} }

// Decoder turns request bodies into batches. It keeps buffers, so keep it; one goroutine uses it at a time.
type Decoder struct {
	limits   Options
	usualKey int // a key of up to so many bytes, and names and values in it, are not too long

	body     []byte // decompressed request
	text     []byte // what labels and symbols are positions in: the request being walked
	expanded int    // bytes of labels that it has besides those used where they stand

	labels  []label  // of one series that is not in canonical form
	symbols []symbol // of a 2.0 request
	refs    []uint32 // of one series of a 2.0 request

	rule bool // Source of the request is RULE
}

// Rule reports whether the request that was decoded last says that it comes from a ruler. Only Cortex's do.
func (d *Decoder) Rule() bool { return d.rule }

// NewDecoder returns a decoder with the limits of o.
func NewDecoder(o Options) *Decoder {
	o.MaxMessageSize = limit(o.MaxMessageSize, messageSizeMax, messageSizeMax)
	o.MaxBatchSize = limit(o.MaxBatchSize, batchSizeDefault, unlimited)
	o.MaxKeySize = limit(o.MaxKeySize, keySizeDefault, messageSizeMax)
	o.MaxLabelNames = limit(o.MaxLabelNames, unlimited, unlimited)
	o.MaxNameLength = limit(o.MaxNameLength, unlimited, unlimited)
	o.MaxValueLength = limit(o.MaxValueLength, unlimited, unlimited)
	o.MaxMetadataLength = limit(o.MaxMetadataLength, unlimited, unlimited)
	return &Decoder{limits: o, usualKey: min(o.MaxKeySize, o.MaxNameLength, o.MaxValueLength)}
}

const unlimited = int(^uint(0) >> 1)

func limit(v, zero, most int) int {
	if v <= 0 {
		v = zero
	}
	return min(v, most)
}

// Decode fills b, which it resets, from a body as it came over HTTP: one Snappy block. What b refers to is
// valid until the next call. An error is an *Error or a *SizeError and leaves b empty; bad labels are no
// error, they are counted in b.
func (d *Decoder) Decode(v Version, compressed []byte, b *engine.Batch) error {
	b.Reset()
	if len(compressed) > d.limits.MaxMessageSize {
		return &SizeError{Size: len(compressed), Max: d.limits.MaxMessageSize}
	}
	size, err := s2.DecodedLen(compressed)
	if err != nil {
		return &Error{Version: v, Reason: "no Snappy block: " + err.Error()}
	}
	if size > d.limits.MaxMessageSize {
		return &SizeError{Size: size, Max: d.limits.MaxMessageSize}
	}
	if size > len(compressed)*snappyExpansionMost {
		return &Error{Version: v, Reason: fmt.Sprintf("no Snappy block: %d bytes cannot hold the %d that they declare", len(compressed), size)}
	}
	if cap(d.body) < size || cap(d.body) > bodyKeepMax && size <= bodyKeepMax {
		d.body = make([]byte, size+size/4)
	}
	body, err := s2.Decode(d.body, compressed)
	if err != nil {
		return &Error{Version: v, Reason: "no Snappy block: " + err.Error()}
	}
	return d.DecodeMessage(v, body, b)
}

// DecodeMessage is Decode for a body that is not compressed. b refers to body.
func (d *Decoder) DecodeMessage(v Version, body []byte, b *engine.Batch) error {
	b.Reset()
	if len(body) > d.limits.MaxMessageSize {
		return &SizeError{Size: len(body), Max: d.limits.MaxMessageSize}
	}
	d.text, d.expanded, d.rule = body, 0, false
	var at int
	var f fault
	switch v {
	case V1:
		at, f = d.walkV1(body, b)
	case V2:
		at, f = d.walkV2(body, b)
	default:
		return &Error{Version: v, Reason: "no such version of the protocol"}
	}
	switch f {
	case faultNone:
		return nil
	case faultBatchSize:
		b.Reset()
		return &SizeError{Size: len(body), Max: d.limits.MaxBatchSize, Expanded: true}
	case faultOrder:
		b.Reset()
		return &OrderError{Series: d.series()}
	default:
		b.Reset()
		return &Error{Version: v, Offset: at, Reason: faultTexts[f]}
	}
}

// Error says that a body is no request of its version; sending it again cannot help (HTTP 400).
type Error struct {
	Version Version
	Offset  int // of the outermost field with the fault, in the decompressed body
	Reason  string
}

func (e *Error) Error() string {
	return fmt.Sprintf("decode remote write %d.0 request: field at byte %d: %s", e.Version, e.Offset, e.Reason)
}

// SizeError says that a body is larger than allowed (HTTP 400 as in Cortex, or 413), in words that tools
// know from Cortex.
type SizeError struct {
	Size, Max int
	Expanded  bool // not the body but what it describes is too large
}

func (e *SizeError) Error() string {
	if e.Expanded {
		return fmt.Sprintf("received message of %d bytes describes series or samples that take more than %d bytes", e.Size, e.Max)
	}
	return fmt.Sprintf("received message larger than max (%d vs %d)", e.Size, e.Max)
}

// OrderError says that a series' labels are not sorted by name, in Cortex's words. See Options.SortedOnly.
type OrderError struct{ Series string }

func (e *OrderError) Error() string {
	return "out-of-order label set found when push: " + e.Series
}

// reserve returns s with room for n more entries, or false if that would take more than size bytes.
func reserve[T any](s []T, n, size int) ([]T, bool) {
	if n <= cap(s)-len(s) {
		return s, true
	}
	var entry T
	most := size / int(unsafe.Sizeof(entry))
	if n > most-len(s) {
		return s, false
	}
	return append(make([]T, 0, min(max(64, 2*cap(s), len(s)+n), most)), s...), true
}

package engine

import (
	"errors"
	"fmt"
)

var (
	// ErrUnavailable: our own trouble (recovery, a failed disk, overload). Nothing of the request may be
	// counted on; the sender should send it again. HTTP 503.
	ErrUnavailable = errors.New("ingester unavailable")
	// ErrBadTenant: the tenant id cannot be used. HTTP 400.
	ErrBadTenant = errors.New("bad tenant id")
	// ErrWrongDirectory: the data directory belongs to another instance or another tenant's generation.
	ErrWrongDirectory = errors.New("wrong data directory")

	errNotCanonical = errors.New("engine: labels are not in canonical form")
)

// unavailable wraps a cause as ErrUnavailable.
func unavailable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnavailable, fmt.Errorf(format, args...))
}

// Reason says why a sample was not stored; it is the label value of cortex_discarded_samples_total.
type Reason uint8

// Reasons.
const (
	ReasonNone           Reason = iota
	ReasonOutOfBounds           // older than what may still be appended: an hour before the newest sample, or the floor
	ReasonOutOfOrder            // older than the series' newest sample
	ReasonNewValue              // another value for the newest sample's timestamp
	ReasonTooFarInFuture        // beyond the wall clock by more than the grace period
	ReasonLabels                // labels that cannot be stored: found, counted and worded by the decoder
	numReasons
)

// NumReasons is how many reasons there are.
const NumReasons = int(numReasons)

var reasonNames = [...]string{
	"", "sample-out-of-bounds", "sample-out-of-order", "new-value-for-timestamp", "too_far_in_future",
	"invalid-labels",
}

// String is the reason as Cortex labels it.
func (r Reason) String() string { return reasonNames[r] }

// texts are what Cortex says of each, so that tools that match on them go on working.
var reasonTexts = [...]string{
	ReasonOutOfBounds:    "out of bounds",
	ReasonOutOfOrder:     "out of order sample",
	ReasonNewValue:       "duplicate sample for timestamp",
	ReasonTooFarInFuture: "timestamp too far in the future",
}

// SampleError: some samples of a request were refused for good; all others are stored and durable to the
// class of the log. HTTP 400. The text is that of the first one.
type SampleError struct {
	Reason Reason
	Text   string
}

func (e *SampleError) Error() string { return e.Text }

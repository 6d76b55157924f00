package engine

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// Kinds of sample that are not stored yet: counted as discarded for these reasons.
const (
	reasonHistogram = "native-histogram-sample"
	reasonExemplar  = "exemplars-not-supported"
)

// discards counts what was not stored, by reason. Reasons are constants of this program: there are few.
type discards struct {
	mu struct {
		sync.Mutex
		byReason map[string]Discard
	}
}

func (d *discards) add(x Discard) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.byReason == nil {
		d.mu.byReason = map[string]Discard{}
	}
	sum := d.mu.byReason[x.Reason]
	sum.Reason = x.Reason
	sum.Samples += x.Samples
	sum.Exemplars += x.Exemplars
	sum.Metadata += x.Metadata
	d.mu.byReason[x.Reason] = sum
}

// list returns the counts, ordered by reason; the engine's own reasons are there from the start.
func (d *discards) list() []Discard {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Collect(maps.Values(d.mu.byReason))
	for r := ReasonNone + 1; r < numReasons; r++ {
		if _, ok := d.mu.byReason[r.String()]; !ok && r != ReasonLabels {
			out = append(out, Discard{Reason: r.String()})
		}
	}
	slices.SortFunc(out, func(a, b Discard) int { return strings.Compare(a.Reason, b.Reason) })
	return out
}

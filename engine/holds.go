package engine

import "time"

// HoldBounds are the upper bounds of the classes of Holds; the last class has none.
var HoldBounds = [...]time.Duration{
	50 * time.Microsecond, 100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
}

// Holds counts how long stripes were locked to be copied, by class. A time is that of the clock: on a machine whose
// cores are all busy a lock can be held by somebody who does not run.
type Holds struct {
	Classes [len(HoldBounds) + 1]uint64
	Sum     time.Duration
	Longest time.Duration
}

func (h *Holds) add(d time.Duration) {
	i := 0
	for i < len(HoldBounds) && d > HoldBounds[i] {
		i++
	}
	h.Classes[i]++
	h.Sum += d
	h.Longest = max(h.Longest, d)
}

// Add adds what another one has counted.
func (h *Holds) Add(o *Holds) {
	for i, n := range o.Classes {
		h.Classes[i] += n
	}
	h.Sum += o.Sum
	h.Longest = max(h.Longest, o.Longest)
}

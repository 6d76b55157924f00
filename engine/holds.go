package engine

import (
	"runtime"
	"time"
)

// HoldBounds are the upper bounds of the classes of Holds; the last class has none.
var HoldBounds = [...]time.Duration{
	50 * time.Microsecond, 100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
}

// Holds counts how long stripes were locked to be copied, by class. These are times of the clock: on a machine whose
// cores are all busy a lock can be held by somebody who does not run. So what is done under the lock is measured by the
// thread's CPU time too.
type Holds struct {
	Classes [len(HoldBounds) + 1]uint64
	Sum     time.Duration
	Longest time.Duration
	MostCPU time.Duration // of one
}

// hold is the time that a lock is held.
type hold struct {
	begun time.Time
	cpu   time.Duration // of the thread when it began
}

// beginHold is called under the lock, and add, by the same goroutine, at the end.
func beginHold() hold {
	runtime.LockOSThread()
	return hold{time.Now(), threadTime()}
}

func (h *Holds) add(one hold) {
	d, cpu := time.Since(one.begun), threadTime()-one.cpu
	runtime.UnlockOSThread()
	h.MostCPU = max(h.MostCPU, cpu)
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
	h.MostCPU = max(h.MostCPU, o.MostCPU)
}

package main

import "testing"

// The account is only worth what it finds: a single sample that too few ingesters hold is found, and so is a write of which an
// ingester holds a part.
func TestAccountFindsWhatIsMissing(t *testing.T) {
	full := func(timestamps ...int64) holding {
		h := holding{samples: map[int64]*[loadSeries]bool{}}
		for _, at := range timestamps {
			all := everySeries
			h.samples[at] = &all
		}
		return h
	}
	w := &writer{}
	w.mu.acked = []int64{1, 2, 3}
	a, b, c := full(1, 2, 3), full(1, 2, 3), full(2, 7)
	if n := w.missing(2, a, b, c); n != 0 {
		t.Errorf("%d missing, want none: two have everything", n)
	}
	if n := w.missing(3, a, b, c); n != 2*loadSeries {
		t.Errorf("%d missing, want two writes: the third has one of three", n)
	}
	b.samples[3][loadSeries-1] = false
	if n := w.missing(2, a, b, c); n != 1 {
		t.Errorf("%d missing, want the one sample that only one has", n)
	}
	if a.parts() != 0 || b.parts() != 1 || c.parts() != 0 {
		t.Errorf("parts %d, %d, %d, want 0, 1, 0", a.parts(), b.parts(), c.parts())
	}
}

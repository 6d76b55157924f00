package engine_test

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/rekindledb/rekindle/engine"
)

// model is what the parent knows of the contents: what was sent, what of it was acknowledged, and what was found by the
// last check.
type model struct {
	mu      sync.Mutex
	tenants map[string]map[string]*history // tenant, labels
	acked   int
}

// history is one series. It belongs to its writer; while no writer runs, to the check.
type history struct {
	key    []byte
	labels string
	// certain was found by the last check, and so must be there for ever. tail was sent since, in order.
	certain []engine.Sample
	tail    []sent
}

type sent struct {
	engine.Sample
	acked bool
}

func newModel() *model { return &model{tenants: map[string]map[string]*history{}} }

// series enters a new series.
func (m *model) series(tenant string, h *history) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tenants[tenant] == nil {
		m.tenants[tenant] = map[string]*history{}
	}
	m.tenants[tenant][h.labels] = h
}

func (m *model) acknowledged(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acked += n
}

// total is how many samples were acknowledged.
func (m *model) total() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.acked
}

// send notes samples that are about to be sent. Those that were sent in this life, or found since, are noted already.
func (h *history) send(samples []engine.Sample) {
	newest := int64(math.MinInt64)
	if n := len(h.tail); n > 0 {
		newest = h.tail[n-1].T
	} else if n := len(h.certain); n > 0 {
		newest = h.certain[n-1].T
	}
	for _, s := range samples {
		if s.T > newest {
			h.tail = append(h.tail, sent{Sample: s})
		}
	}
}

// stored says that the series is there for certain.
func (h *history) stored() bool { return len(h.certain) > 0 || len(h.tail) > 0 && h.tail[0].acked }

// ack notes that everything sent so far was acknowledged. It returns how many samples were not before.
func (h *history) ack() (n int) {
	for i := len(h.tail) - 1; i >= 0 && !h.tail[i].acked; i-- {
		h.tail[i].acked = true
		n++
	}
	return n
}

// check compares what a tenant holds with what it must and may hold: what was acknowledged is there, once and in order;
// what is there was sent. What was found is certain from now on, what was not is gone for ever.
func (m *model) check(tenant string, got map[string][]engine.Sample) error {
	var errs []error
	for labels := range got {
		if m.tenants[tenant][labels] == nil {
			errs = append(errs, fmt.Errorf("series %s was never sent", labels))
		}
	}
	for labels, h := range m.tenants[tenant] {
		if err := h.check(got[labels]); err != nil {
			errs = append(errs, fmt.Errorf("series %s: %w", labels, err))
		}
	}
	if n := len(errs); n > 5 {
		errs = append(errs[:5], fmt.Errorf("and %d series more", n-5))
	}
	return errors.Join(errs...)
}

func (h *history) check(got []engine.Sample) error {
	for i := 1; i < len(got); i++ {
		if got[i].T <= got[i-1].T {
			return fmt.Errorf("sample %v follows %v: there twice, or out of order", got[i], got[i-1])
		}
	}
	rest := got
	for i, s := range h.certain {
		if len(rest) == 0 || rest[0] != s {
			return fmt.Errorf("sample %d of %d, %v, was there after the last start; now there is %v", i+1, len(h.certain), s, head(rest))
		}
		rest = rest[1:]
	}
	missing := -1
	for i, s := range h.tail {
		switch {
		case len(rest) > 0 && rest[0] == s.Sample && missing < 0:
			rest = rest[1:]
		case len(rest) > 0 && rest[0] == s.Sample:
			return fmt.Errorf("sample %d of the last life, %v, is there and sample %d, %v, before it is not", i+1, s, missing+1, h.tail[missing])
		case s.acked:
			return fmt.Errorf("sample %d of %d of the last life, %v, was acknowledged and is missing; there is %v", i+1, len(h.tail), s, head(rest))
		case missing < 0:
			missing = i
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("sample %v was never sent", rest[0])
	}
	h.certain, h.tail = got, nil
	return nil
}

// head is the first sample, for messages.
func head(s []engine.Sample) any {
	if len(s) == 0 {
		return "nothing"
	}
	return s[0]
}

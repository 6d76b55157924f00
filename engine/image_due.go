package engine

import (
	"cmp"
	"slices"
	"time"
)

// due returns the stripes to image next, none if nothing is due: those with the longest tails, if replaying all tails
// would take longer than the restart target, else the one that was not imaged for the longest time.
func (m *imager) due(now time.Time) []int {
	byTail, whole := m.tails()
	stripes := m.longest(byTail, whole)
	switch {
	case len(stripes) > 0:
		m.interval = now.Sub(m.lastDue)
	default:
		i := m.oldest(now)
		if i < 0 {
			return nil
		}
		stripes, m.interval = []int{i}, m.apart()
	}
	m.interval, m.lastDue = min(m.interval, roundApart), now
	return stripes
}

// tailOf is what replaying a stripe's tail takes.
type tailOf struct {
	stripe int
	cost   float64
}

// tails lists the stripes that have one, and what replaying all of them takes.
func (m *imager) tails() (list []tailOf, whole float64) {
	for i := range m.t.stripes {
		if m.broken[i] {
			continue // its tail stays, whatever is done
		}
		if cost := m.t.stripes[i].tailCost(); cost > 0 {
			list = append(list, tailOf{i, cost})
			whole += cost
		}
	}
	return list, whole
}

// longest returns the stripes whose images bring the tails below the budget, as many as fit into a round.
func (m *imager) longest(list []tailOf, whole float64) (stripes []int) {
	budget := m.t.tailBudget()
	if whole < budget {
		return nil
	}
	slices.SortFunc(list, func(a, b tailOf) int { return cmp.Compare(b.cost, a.cost) })
	size := 0
	for _, c := range list {
		if len(stripes) > 0 && (whole < budget || len(stripes) == roundStripes || size >= roundBytes) {
			break
		}
		stripes = append(stripes, c.stripe)
		size += m.size(c.stripe)
		whole -= c.cost
	}
	return stripes
}

// apart is the time between two images for age alone, so that all stripes have their turn in the checkpoint duration.
func (m *imager) apart() time.Duration {
	return m.t.e.cfg.CheckpointDuration / time.Duration(len(m.t.stripes))
}

// oldest returns the stripe that was imaged the longest time ago and needs it, or -1. It has its turn when half of the
// checkpoint duration has passed, if nobody else had for long enough: stripes that were imaged together, when series
// were made at full speed, are not due together for ever.
func (m *imager) oldest(now time.Time) int {
	age := m.t.e.cfg.CheckpointDuration
	if now.Sub(m.lastDue) >= m.apart() {
		age /= 2
	}
	oldest := -1
	for i := range m.t.stripes {
		if m.broken[i] || now.Sub(m.last[i]) < age || oldest >= 0 && !m.last[i].Before(m.last[oldest]) {
			continue
		}
		if m.t.stripes[i].tail.Load() > 0 || m.holdsLog(i) {
			oldest = i
		} else {
			m.last[i] = now
		}
	}
	return oldest
}

// late reports whether the tails are longer than they should be: nothing is to be held up then.
func (m *imager) late() bool {
	_, whole := m.tails()
	return whole >= m.t.tailBudget()
}

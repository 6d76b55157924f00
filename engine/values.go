package engine

import (
	"slices"
	"sync"
)

// valueTable numbers the distinct values of one label name. Stripes repeat most of them: a pod's name is in each
// stripe, and 2 000 pods are 64 000 pairs. What all stripes have is collected once, and what they have got since is
// added when it is asked for: lists of pairs only grow.
type valueTable struct {
	mu       sync.Mutex
	view     *valueView
	numberOf map[string]uint32
}

// valueView is a state of a table. It never changes.
type valueView struct {
	values  []string   // by number
	sorted  []string   // the same, ascending
	numbers [][]uint32 // by stripe, by place in the list of the name's pairs
	size    int64      // bytes
}

// Bytes that a value takes in a table besides its own: two strings, a key of the map. A pair takes 4.
const (
	valueOverhead = 2*16 + 48
	numberSize    = 4
)

// valuesOf returns the distinct values of a name in the whole tenant; nil if there are so many that a table of them is
// not worth its memory. Then most are in one stripe only.
func (t *Tenant) valuesOf(name string) *valueView {
	c := t.e.matchers
	vt := c.table(t, name)
	v, grown := vt.read(t, name, c.tableMax)
	if grown {
		c.putTable(t, name, vt, v.size)
	}
	return v.orNil()
}

// orNil is nil for the view of a table that grew too large.
func (v *valueView) orNil() *valueView {
	if v.values == nil {
		return nil
	}
	return v
}

// read brings the table up to date.
func (vt *valueTable) read(t *Tenant, name string, sizeMax int64) (v *valueView, grown bool) {
	vt.mu.Lock()
	defer vt.mu.Unlock()
	if vt.view == nil {
		vt.numberOf = map[string]uint32{}
		vt.view = &valueView{values: []string{}, numbers: make([][]uint32, len(t.stripes))}
	} else if vt.view.values == nil {
		return vt.view, false // it only grows
	}
	old := vt.view
	next := *old
	for i := range t.stripes {
		s := &t.stripes[i]
		l := s.pairsOfName(name)
		known := next.numbers[i]
		if int(l.Len) <= len(known) {
			continue
		}
		if !grown {
			grown = true
			next.numbers = slices.Clone(old.numbers)
		}
		numbers, skip := slices.Grow(known, int(l.Len)-len(known)), len(known)
		l.Walk(s.a, func(run []uint32) bool {
			for _, p := range run[min(skip, len(run)):] {
				_, v, _ := splitPair(s.pairBytes(refOf(p)))
				numbers = append(numbers, vt.numberFor(&next, v))
			}
			skip = max(skip-len(run), 0)
			return next.size < sizeMax
		})
		next.numbers[i] = numbers
		if next.size += int64(numberSize * (len(numbers) - len(known))); next.size >= sizeMax {
			vt.numberOf, vt.view = nil, &valueView{size: valueOverhead}
			return vt.view, true
		}
	}
	if grown {
		if added := slices.Clone(next.values[len(old.values):]); len(added) > 0 {
			slices.Sort(added)
			next.sorted = merge(old.sorted, added)
		}
		vt.view = &next
	}
	return vt.view, grown
}

// numberFor returns the number of a value, the next one if it is new.
func (vt *valueTable) numberFor(v *valueView, value []byte) uint32 {
	n, ok := vt.numberOf[string(value)]
	if !ok {
		s := string(value)
		n = uint32(len(v.values))
		v.values = append(v.values, s)
		vt.numberOf[s] = n
		v.size += int64(valueOverhead + len(s))
	}
	return n
}

// merge returns the strings of two ascending lists, ascending.
func merge(a, b []string) []string {
	out := make([]string, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

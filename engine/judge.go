package engine

import (
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"
)

// judge is one matcher of a request that is not among matching.named: which pairs of its name have a value that it wants.
type judge struct {
	m *labels.Matcher
	// empty: it accepts the empty value, so that it wants the values that it refuses: their series are excluded.
	empty bool
	// keys are the pairs that the matcher names, in canonical form; nil if values must be looked at.
	keys [][]byte
	// text and hash are the matcher and its sense: what was found is remembered under them.
	text string
	hash uint64

	// Stripes repeat most values. The first stripe that has many of them to judge gets the tenant's numbers of
	// them, so that each value is judged once a request, whichever stripe it is in.
	tenant *Tenant
	number sync.Once
	values *valueView // nil: each stripe judges its own
	known  []atomic.Uint32
}

// What known says of a value.
const (
	unknown = iota
	wanted
	unwanted
)

// judgeAlone is up to how many values a stripe judges by itself: as many as numbering them would cost.
const judgeAlone = 32

func newJudge(c *matchCache, t *Tenant, m *labels.Matcher) *judge {
	j := &judge{m: m, empty: m.Matches(""), tenant: t}
	want := !j.empty
	switch {
	case m.Value != "" && m.Type == labels.MatchNotEqual:
		j.keys = [][]byte{appendPair(nil, m.Name, m.Value)}
	case want && m.Type == labels.MatchRegexp && len(m.SetMatches()) > 0:
		for _, v := range m.SetMatches() {
			if v != "" {
				j.keys = append(j.keys, appendPair(nil, m.Name, v))
			}
		}
	default:
		j.text = m.String()
		if want {
			j.text += "+"
		}
		j.hash = xxhash.Sum64String(j.text)
	}
	return j
}

// judgeValue looks at a value itself. The matcher keeps nothing of the string.
func (j *judge) judgeValue(v []byte) bool { return j.m.Matches(bytesString(v)) != j.empty }

// of returns what judges n pairs of a stripe, each by its place in the list of the name's pairs.
func (j *judge) of(s *stripe, n int) func(at int, pair uint32) bool {
	alone := func(_ int, p uint32) bool {
		_, v, _ := splitPair(s.pairBytes(refOf(p)))
		return j.judgeValue(v)
	}
	if n <= judgeAlone || j.tenant == nil {
		return alone
	}
	j.number.Do(func() {
		if j.values = j.tenant.valuesOf(j.m.Name); j.values != nil {
			j.known = make([]atomic.Uint32, len(j.values.values))
		}
	})
	if j.values == nil {
		return alone
	}
	numbers := j.values.numbers[s.id]
	return func(at int, p uint32) bool {
		if at >= len(numbers) {
			return alone(at, p)
		}
		k := &j.known[numbers[at]]
		switch k.Load() {
		case wanted:
			return true
		case unwanted:
			return false
		}
		// Two stripes at the same moment come to the same result.
		if !alone(at, p) {
			k.Store(unwanted)
			return false
		}
		k.Store(wanted)
		return true
	}
}

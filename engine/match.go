package engine

import (
	"math/bits"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/arena"
)

// Matching follows Prometheus: a matcher that the empty string satisfies excludes the series whose value it
// refuses (a series without the label passes), any other includes the series whose value it accepts.
//
// A series has one value a name, so the lists of a name's pairs are disjoint: their union is a bitmap, and
// what remains of the shortest list is filtered by the bitmaps.

// lockStep is how many lists or series are copied before the stripe's lock is given back, so that no append
// waits for a query longer than some tens of microseconds.
const lockStep = 256

// matches returns the indexes of the series that satisfy all matchers, ascending.
func (s *stripe) matches(c *matchCache, ms []*labels.Matcher) []uint32 {
	var (
		include [][]uint32
		filters []filter
		all     = true
		// Series made from here on may be in lists that are read later and not in those read before, so that they
		// would pass what excludes them: they are no part of the answer.
		next = s.nextIndex()
	)
	for _, m := range ms {
		empty := m.Matches("")
		want := !empty // the values whose series are listed: those that include, or those that exclude
		lists := s.postings(c, m, want)
		if empty {
			if len(lists) > 0 {
				filters = append(filters, filter{lists, false})
			}
			continue
		}
		all = false
		switch len(lists) {
		case 0:
			return nil
		case 1:
			include = append(include, lists[0])
		default:
			filters = append(filters, filter{lists, true})
		}
	}
	var out []uint32
	switch {
	case len(include) > 0:
		slices.SortFunc(include, func(a, b []uint32) int { return len(a) - len(b) })
		out = include[0]
		for _, l := range include[1:] {
			out = intersect(out, l)
		}
	case all:
		out = s.allIndexes()
	default:
		// A union is the base: the first filter that includes becomes the list.
		for i, f := range filters {
			if f.keep {
				out = bitmapOf(f.lists, next).appendTo(nil)
				filters = slices.Delete(filters, i, i+1)
				break
			}
		}
	}
	for _, f := range filters {
		if len(out) == 0 {
			return nil
		}
		bm := bitmapOf(f.lists, next)
		out = slices.DeleteFunc(out, func(i uint32) bool { return bm.has(i) != f.keep || i >= next })
	}
	return out
}

// filter is a union of lists that a series must (keep) or must not be in.
type filter struct {
	lists [][]uint32
	keep  bool
}

// postings returns the series lists of the pairs of m's name whose value m accepts (want) or refuses
// (!want), copied.
func (s *stripe) postings(c *matchCache, m *labels.Matcher, want bool) [][]uint32 {
	var pairs []uint32
	switch {
	case want == (m.Type == labels.MatchEqual) && (m.Type == labels.MatchEqual || m.Type == labels.MatchNotEqual) && m.Value != "":
		// Exactly one value: the one named.
		key := appendPair(nil, m.Name, m.Value)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.a == nil {
			return nil
		}
		p := s.findPair(key)
		if p == 0 {
			return nil
		}
		return [][]uint32{arena.At[pair](s.a, p).series.AppendTo(s.a, nil)}
	case want && m.Type == labels.MatchRegexp && len(m.SetMatches()) > 0:
		s.mu.Lock()
		if s.a != nil {
			var key []byte
			for _, v := range m.SetMatches() {
				if key = appendPair(key[:0], m.Name, v); v != "" {
					if p := s.findPair(key); p != 0 {
						pairs = append(pairs, uint32(p))
					}
				}
			}
		}
		s.mu.Unlock()
	default:
		pairs = s.matchingPairs(c, m, want)
	}
	lists := make([][]uint32, 0, len(pairs))
	for len(pairs) > 0 {
		n := min(lockStep, len(pairs))
		s.mu.Lock()
		for _, p := range pairs[:n] {
			lists = append(lists, arena.At[pair](s.a, refOf(p)).series.AppendTo(s.a, nil))
		}
		s.mu.Unlock()
		pairs = pairs[n:]
	}
	return lists
}

// matchingPairs returns the pairs of m's name whose value m accepts or refuses. Values are judged without the
// lock, each distinct one once, and remembered: lists of pairs only grow, so what is known of the first n
// stays true.
func (s *stripe) matchingPairs(c *matchCache, m *labels.Matcher, want bool) []uint32 {
	known, found := c.get(s, m, want)
	pairs := s.pairsOfName(m.Name, known)
	if len(pairs) == 0 {
		return found
	}
	found = slices.Clip(found)
	for _, p := range pairs {
		_, v, _ := splitPair(s.pairBytes(refOf(p)))
		// The matcher keeps nothing of the string.
		if m.Matches(bytesString(v)) == want {
			found = append(found, p)
		}
	}
	c.put(s, m, want, known+len(pairs), found)
	return found
}

// pairsOfName returns the pairs of a name, but for the first skip.
func (s *stripe) pairsOfName(n string, skip int) []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		return nil
	}
	r := s.findName([]byte(n))
	if r == 0 {
		return nil
	}
	l := &arena.At[name](s.a, r).pairs
	if int(l.Len) <= skip {
		return nil
	}
	return l.AppendTo(s.a, make([]uint32, 0, l.Len))[skip:]
}

func (s *stripe) nextIndex() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		return 0
	}
	return s.root.next
}

func (s *stripe) allIndexes() []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		return nil
	}
	out := make([]uint32, 0, s.root.live)
	s.root.index.Walk(s.a, func(i uint32, _ arena.Ref) bool { out = append(out, i); return true })
	return out
}

// appendPair appends a label in canonical form.
func appendPair(dst []byte, name, value string) []byte {
	inner := 2 + uvarintLen(len(name)) + len(name) + uvarintLen(len(value)) + len(value)
	dst = append(dst, 0x0a)
	dst = appendUvarint(dst, inner)
	dst = append(dst, 0x0a)
	dst = appendUvarint(dst, len(name))
	dst = append(dst, name...)
	dst = append(dst, 0x12)
	dst = appendUvarint(dst, len(value))
	return append(dst, value...)
}

func appendUvarint(dst []byte, n int) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

func uvarintLen(n int) int { return (bits.Len64(uint64(n)|1) + 6) / 7 }

func refOf(v uint32) arena.Ref { return arena.Ref(v) }

// intersect keeps the values of a, ascending, that are in b, ascending, too. a is overwritten.
func intersect(a, b []uint32) []uint32 {
	out := a[:0]
	for _, v := range a {
		for len(b) > 0 && b[0] < v {
			b = b[1:]
		}
		if len(b) == 0 {
			break
		}
		if b[0] == v {
			out = append(out, v)
		}
	}
	return out
}

// bitmap is a set of indexes.
type bitmap []uint64

func bitmapOf(lists [][]uint32, next uint32) bitmap {
	b := make(bitmap, next/64+1)
	for _, l := range lists {
		for _, i := range l {
			if i < next {
				b[i/64] |= 1 << (i % 64)
			}
		}
	}
	return b
}

func (b bitmap) has(i uint32) bool { return int(i/64) < len(b) && b[i/64]>>(i%64)&1 == 1 }

func (b bitmap) appendTo(dst []uint32) []uint32 {
	for w, v := range b {
		for ; v != 0; v &= v - 1 {
			dst = append(dst, uint32(w*64+bits.TrailingZeros64(v)))
		}
	}
	return dst
}

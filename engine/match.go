package engine

import (
	"context"
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
const lockStep = 128

// matching is what a request's matchers have in common for all stripes.
type matching struct {
	ctx   context.Context
	cache *matchCache
	// named are the pairs, in canonical form, that matchers for equality want: most requests have nothing else.
	named  [][]byte
	judges []*judge // the other matchers
}

// newMatching prepares matchers. t may be nil: then nothing is shared between stripes.
func newMatching(ctx context.Context, c *matchCache, t *Tenant, ms []*labels.Matcher) *matching {
	q := &matching{ctx: ctx, cache: c}
	for _, m := range ms {
		if m.Type == labels.MatchEqual && m.Value != "" {
			q.named = append(q.named, appendPair(nil, m.Name, m.Value))
		} else {
			q.judges = append(q.judges, newJudge(c, t, m))
		}
	}
	return q
}

// filter is a union of lists that a series must (keep) or must not be in.
type filter struct {
	lists []arena.List
	keep  bool
}

// matches returns the indexes of the series of a stripe that satisfy all matchers, ascending.
func (q *matching) matches(s *stripe) ([]uint32, error) {
	var (
		few     [4]arena.List
		filters []filter
		next    uint32
	)
	if len(q.judges) > 0 {
		// Series made from here on may be in lists that are read later and not in those read before, so that they
		// would pass what excludes them: they are no part of the answer.
		next = s.nextIndex()
	}
	include := s.listsOfKeys(few[:0], q.named)
	if len(include) < len(q.named) {
		return nil, nil
	}
	all := len(q.named) == 0
	for _, j := range q.judges {
		lists, err := q.postings(s, j)
		switch {
		case err != nil:
			return nil, err
		case j.empty && len(lists) > 0:
			filters = append(filters, filter{lists, false})
			continue
		case j.empty:
			continue
		case len(lists) == 0:
			return nil, nil
		case len(lists) == 1:
			include = append(include, lists[0])
		default:
			filters = append(filters, filter{lists, true})
		}
		all = false
	}
	var out []uint32
	switch {
	case len(include) > 0:
		least := 0
		for i := range include {
			if include[i].Len < include[least].Len {
				least = i
			}
		}
		out = include[least].AppendTo(s.a, make([]uint32, 0, include[least].Len))
		for i, l := range include {
			if i != least {
				out = intersect(s.a, out, l)
			}
		}
	case all:
		out = s.allIndexes()
	default:
		// A union is the base: the first filter that includes becomes the list.
		for i, f := range filters {
			if f.keep {
				out = bitmapOf(s.a, f.lists, next).values()
				filters = slices.Delete(filters, i, i+1)
				break
			}
		}
	}
	for _, f := range filters {
		if len(out) == 0 {
			return nil, nil
		}
		bm := bitmapOf(s.a, f.lists, next)
		out = slices.DeleteFunc(out, func(i uint32) bool { return bm.has(i) != f.keep || i >= next })
	}
	return out, nil
}

// postings returns the series lists of the pairs whose value j accepts, or refuses if it accepts the empty one.
func (q *matching) postings(s *stripe, j *judge) ([]arena.List, error) {
	if j.keys != nil {
		return s.listsOfKeys(nil, j.keys), nil
	}
	pairs, err := q.matchingPairs(s, j)
	if err != nil {
		return nil, err
	}
	return s.listsOf(pairs), nil
}

// listsOf returns the series lists of pairs.
func (s *stripe) listsOf(pairs []uint32) []arena.List {
	lists := make([]arena.List, 0, len(pairs))
	for len(pairs) > 0 {
		n := min(lockStep, len(pairs))
		s.mu.Lock()
		for _, p := range pairs[:n] {
			lists = append(lists, arena.At[pair](s.a, refOf(p)).series)
		}
		s.mu.Unlock()
		pairs = pairs[n:]
	}
	return lists
}

// listsOfKeys appends the series lists of pairs that are named.
func (s *stripe) listsOfKeys(lists []arena.List, keys [][]byte) []arena.List {
	for len(keys) > 0 {
		n := min(lockStep, len(keys))
		s.mu.Lock()
		if s.a != nil {
			for _, key := range keys[:n] {
				if p := s.findPair(key); p != 0 {
					lists = append(lists, arena.At[pair](s.a, p).series)
				}
			}
		}
		s.mu.Unlock()
		keys = keys[n:]
	}
	return lists
}

// matchingPairs returns the pairs of the judge's name whose value it wants. Values are judged without the lock, each
// distinct one once, and remembered: lists of pairs only grow, so what is known of the first n stays true.
func (q *matching) matchingPairs(s *stripe, j *judge) ([]uint32, error) {
	known, found := q.cache.get(s, j)
	l := s.pairsOfName(j.m.Name)
	if int(l.Len) <= known {
		return found, nil
	}
	found = slices.Clip(found)
	judged := j.of(s, int(l.Len)-known)
	at := 0
	l.Walk(s.a, func(run []uint32) bool {
		for _, p := range run {
			if at >= known && judged(at, p) {
				found = append(found, p)
			}
			at++
		}
		return q.ctx.Err() == nil
	})
	if err := q.ctx.Err(); err != nil {
		return nil, err
	}
	q.cache.put(s, j, int(l.Len), found)
	return found, nil
}

// pairsOfName returns the list of a name's pairs.
func (s *stripe) pairsOfName(n string) (l arena.List) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		return l
	}
	if r := s.findName([]byte(n)); r != 0 {
		l = arena.At[name](s.a, r).pairs
	}
	return l
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
	dst = append(slices.Grow(dst, 1+uvarintLen(inner)+inner), 0x0a)
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

package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/arena"
)

// LabelValues returns the values of a label, sorted, at most limit (0 = all), among the series that satisfy
// the matchers.
func (t *Tenant) LabelValues(ctx context.Context, name string, mint, maxt int64, limit int, ms ...*labels.Matcher) ([]string, error) {
	if ok, err := t.enterRange(ctx, mint, maxt); !ok {
		return nil, err
	}
	defer t.leave()
	if len(ms) == 0 {
		if v := t.valuesOf(name); v != nil {
			return slices.Clone(firstOf(v.sorted, limit)), nil
		}
	}
	// Stripes have mostly the same values.
	guess := int(t.stripes[0].pairsOfName(name).Len)
	return t.collect(ctx, limit, guess, ms, func(found distinct) func(*stripe, []uint32) error {
		c := &valueCollector{name: name, found: found}
		return func(s *stripe, indexes []uint32) error {
			if len(ms) == 0 {
				return c.addAll(ctx, s)
			}
			return c.addOf(ctx, s, indexes)
		}
	})
}

// LabelNames returns the label names, sorted, at most limit (0 = all), of the series that satisfy the matchers.
func (t *Tenant) LabelNames(ctx context.Context, mint, maxt int64, limit int, ms ...*labels.Matcher) ([]string, error) {
	if ok, err := t.enterRange(ctx, mint, maxt); !ok {
		return nil, err
	}
	defer t.leave()
	return t.collect(ctx, limit, 0, ms, func(found distinct) func(*stripe, []uint32) error {
		return func(s *stripe, indexes []uint32) error {
			if len(ms) > 0 {
				return addNamesOf(ctx, s, indexes, found)
			}
			for _, n := range s.allNames() {
				found.add(s.nameBytes(refOf(n)))
			}
			return nil
		}
	})
}

// enterRange begins a query about labels, if the tenant has samples in the range. Like Prometheus's head it looks at
// the range of the whole tenant only.
func (t *Tenant) enterRange(ctx context.Context, mint, maxt int64) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := t.enter(); err != nil {
		return false, err
	}
	if lo, hi := t.timeRange(); maxt < lo || mint > hi {
		t.leave()
		return false, nil
	}
	return true, nil
}

// distinct is a set of strings.
type distinct map[string]struct{}

func (d distinct) add(b []byte) {
	if _, ok := d[string(b)]; !ok {
		d[string(b)] = struct{}{}
	}
}

// collect gathers distinct strings from all stripes. What collector makes is given each stripe, with the indexes of the
// series that satisfy the matchers if there are any. guess is how many strings there may be.
func (t *Tenant) collect(ctx context.Context, limit, guess int, ms []*labels.Matcher, collector func(distinct) func(*stripe, []uint32) error) ([]string, error) {
	matched := make([]matches, len(t.stripes))
	total := 0
	if len(ms) > 0 {
		var err error
		if matched, total, err = t.match(ctx, ms); err != nil || total == 0 {
			return nil, err
		}
	}
	var (
		mu  sync.Mutex
		all []distinct
	)
	err := t.work(ctx, total, func() func(int, *stripe) error {
		found := make(distinct, min(guess, total))
		mu.Lock()
		all = append(all, found)
		mu.Unlock()
		collect := collector(found)
		return func(i int, s *stripe) error { return collect(s, matched[i].indexes) }
	})
	if err != nil {
		return nil, err
	}
	for _, d := range all[1:] {
		for v := range d {
			all[0][v] = struct{}{}
		}
	}
	out := make([]string, 0, len(all[0]))
	for v := range all[0] {
		out = append(out, v)
	}
	slices.Sort(out)
	return firstOf(out, limit), nil
}

func firstOf(list []string, limit int) []string {
	if limit > 0 && len(list) > limit {
		return list[:limit]
	}
	return list
}

// valueCollector gathers the values of a label.
type valueCollector struct {
	name  string
	found distinct
	at    int // where the label stood in the last label set
}

// addAll adds the values of all series of a stripe.
func (c *valueCollector) addAll(ctx context.Context, s *stripe) error {
	l := s.pairsOfName(c.name)
	l.Walk(s.a, func(run []uint32) bool {
		for _, p := range run {
			c.add(s, p)
		}
		return ctx.Err() == nil
	})
	return ctx.Err()
}

func (c *valueCollector) add(s *stripe, p uint32) {
	_, v, _ := splitPair(s.pairBytes(refOf(p)))
	c.found.add(v)
}

// seriesAPair is how many series are as quickly looked at as it is found out whether a value has one of them.
const seriesAPair = 32

// addOf adds the values of some series.
func (c *valueCollector) addOf(ctx context.Context, s *stripe, indexes []uint32) error {
	l := s.pairsOfName(c.name)
	if l.Len == 0 || len(indexes) == 0 {
		return nil
	}
	if int(l.Len) < len(indexes)/seriesAPair {
		return c.addPairsOf(ctx, s, l, indexes)
	}
	var last uint32
	return eachSet(ctx, s, indexes, func(pairs []uint32) {
		p := c.pairIn(s, pairs)
		if p != 0 && p != last {
			last = p
			c.add(s, p)
		}
	})
}

// pairIn is the label's pair in a label set, 0 if it has none. In most it stands where it stood in the set before.
func (c *valueCollector) pairIn(s *stripe, pairs []uint32) uint32 {
	is := func(i int) bool {
		return string(s.nameBytes(arena.At[pair](s.a, refOf(pairs[i])).name)) == c.name
	}
	if c.at < len(pairs) && is(c.at) {
		return pairs[c.at]
	}
	for i := range pairs {
		if is(i) {
			c.at = i
			return pairs[i]
		}
	}
	return 0
}

// addPairsOf is addOf for a label with few values: it looks for one series of each.
func (c *valueCollector) addPairsOf(ctx context.Context, s *stripe, l arena.List, indexes []uint32) error {
	want := make(bitmap, indexes[len(indexes)-1]/64+1)
	for _, i := range indexes {
		want[i/64] |= 1 << (i % 64)
	}
	pairs := l.AppendTo(s.a, nil)
	for i, series := range s.listsOf(pairs) {
		if err := ctx.Err(); err != nil {
			return err
		}
		series.Walk(s.a, func(run []uint32) bool {
			if slices.ContainsFunc(run, want.has) {
				c.add(s, pairs[i])
				return false
			}
			return true
		})
	}
	return nil
}

// addNamesOf adds the label names of some series.
func addNamesOf(ctx context.Context, s *stripe, indexes []uint32, found distinct) error {
	var before []uint32
	known := map[arena.Ref]struct{}{}
	return eachSet(ctx, s, indexes, func(pairs []uint32) {
		for i, p := range pairs {
			if i < len(before) && before[i] == p {
				continue
			}
			n := arena.At[pair](s.a, refOf(p)).name
			if _, ok := known[n]; !ok {
				known[n] = struct{}{}
				found.add(s.nameBytes(n))
			}
		}
		before = pairs
	})
}

// eachSet calls f with the pairs of each series' label set, without the lock.
func eachSet(ctx context.Context, s *stripe, indexes []uint32, f func(pairs []uint32)) error {
	sets := make([]arena.Ref, 0, lockStep)
	for len(indexes) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(lockStep, len(indexes))
		sets = s.appendSets(sets[:0], indexes[:n])
		for _, set := range sets {
			f(s.pairsOf(set))
		}
		indexes = indexes[n:]
	}
	return nil
}

// appendSets appends the label sets of series. The misses on the way to them overlap, as in resolve.
func (s *stripe) appendSets(dst []arena.Ref, indexes []uint32) []arena.Ref {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, warm := len(dst), uint32(0)
	for _, i := range indexes {
		if r := s.root.index.Get(s.a, i); r != 0 {
			dst = append(dst, r)
		}
	}
	for i := first; i < len(dst); i++ {
		dst[i] = arena.At[record](s.a, dst[i]).labels
	}
	for _, set := range dst[first:] {
		warm += *arena.At[uint32](s.a, set)
	}
	s.warm = warm
	return dst
}

// allNames returns the label names of the stripe.
func (s *stripe) allNames() []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		return nil
	}
	var out []uint32
	for _, v := range s.root.names.Slots(s.a) {
		if uint32(v) != 0 {
			out = append(out, uint32(v))
		}
	}
	return out
}

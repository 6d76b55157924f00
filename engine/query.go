package engine

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
)

// What a query sees. Everything that was acknowledged before it began. Of each series all samples up to some moment
// while it ran: labels and open chunk are copied in one hold of the stripe's lock, and what they refer to does not
// change. The moments of two series differ, since a lock is held for lockStep series only: of a request that is
// appended meanwhile a query may see some series' samples and not the others'. A series made after its stripe was
// looked at is not seen.

// Select returns the series that satisfy all matchers and have a chunk that overlaps [mint, maxt], with those
// chunks, in no order. It is a copy.
//
// A chunk that cannot be read fails the whole of it, as in Prometheus: an answer without it would be wrong, and nobody
// would know. The error names series, file and place. Whoever leaves the series out, or asks for a range behind the
// chunk, is answered.
func (t *Tenant) Select(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) ([]Series, error) {
	return t.SelectPart(ctx, AllSamples, mint, maxt, ms...)
}

// SelectPart returns the same series, but only a part of their chunks.
func (t *Tenant) SelectPart(ctx context.Context, part Part, mint, maxt int64, ms ...*labels.Matcher) ([]Series, error) {
	if err := t.enter(); err != nil {
		return nil, err
	}
	defer t.leave()
	matched, total, err := t.match(ctx, ms)
	if err != nil || total == 0 {
		return nil, err
	}
	// Each stripe has its part of the answer, which is made at once.
	out := make([]Series, total)
	var used copiers
	defer used.free()
	err = t.work(ctx, total, func() func(int, *stripe) error {
		c := used.take(max(mint, t.floor.Load()), maxt, part)
		if total <= workFew {
			c.expected = total // no other worker joins
		}
		return func(i int, s *stripe) error {
			m := &matched[i]
			if len(m.indexes) == 0 {
				return nil
			}
			filled, err := c.selectSeries(ctx, s, m.indexes, out[m.first:][:len(m.indexes)])
			m.filled = len(filled)
			return err
		}
	})
	if err != nil {
		return nil, err
	}
	n := 0
	for _, m := range matched {
		if n != m.first {
			copy(out[n:], out[m.first:][:m.filled])
		}
		n += m.filled
	}
	clear(out[n:])
	return out[:n:n], nil
}

// matches are the series of a stripe that satisfy a request's matchers.
type matches struct {
	indexes []uint32
	first   int // how many there are in the stripes before
	filled  int // how many of them the answer has
}

// match finds the series that satisfy the matchers, by stripe, and how many these are.
func (t *Tenant) match(ctx context.Context, ms []*labels.Matcher) (found []matches, total int, err error) {
	m := newMatching(ctx, t.e.matchers, t, ms)
	found = make([]matches, len(t.stripes))
	err = t.work(ctx, 0, func() func(int, *stripe) error {
		return func(i int, s *stripe) (err error) {
			found[i].indexes, err = m.matches(s)
			return err
		}
	})
	for i := range found {
		found[i].first = total
		total += len(found[i].indexes)
	}
	return found, total, err
}

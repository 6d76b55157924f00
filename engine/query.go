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
	indexes, total, err := t.match(ctx, ms)
	if err != nil || total == 0 {
		return nil, err
	}
	// Each stripe has its part of the answer, which is made at once.
	out := make([]Series, total)
	first := make([]int, len(indexes))
	for i := 1; i < len(indexes); i++ {
		first[i] = first[i-1] + len(indexes[i-1])
	}
	filled := make([][]Series, len(indexes))
	err = t.work(ctx, total, func() func(int, *stripe) error {
		c := &copier{mint: max(mint, t.floor.Load()), maxt: maxt, part: part}
		return func(i int, s *stripe) (err error) {
			if len(indexes[i]) > 0 {
				filled[i], err = c.selectSeries(ctx, s, indexes[i], out[first[i]:][:len(indexes[i])])
			}
			return err
		}
	})
	if err != nil {
		return nil, err
	}
	n := 0
	for i := range filled {
		if n != first[i] {
			copy(out[n:], filled[i])
		}
		n += len(filled[i])
	}
	clear(out[n:])
	return out[:n:n], nil
}

// match finds the indexes of the series that satisfy the matchers, by stripe, and how many these are.
func (t *Tenant) match(ctx context.Context, ms []*labels.Matcher) (indexes [][]uint32, total int, err error) {
	m := newMatching(ctx, t.e.matchers, t, ms)
	indexes = make([][]uint32, len(t.stripes))
	err = t.work(ctx, 0, func() func(int, *stripe) error {
		return func(i int, s *stripe) (err error) {
			indexes[i], err = m.matches(s)
			return err
		}
	})
	for _, l := range indexes {
		total += len(l)
	}
	return indexes, total, err
}

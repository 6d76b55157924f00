package engine

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
)

// KeyedSeries is a series whose labels are in canonical form, see BatchSeries.Key. Chunks are ascending by time.
type KeyedSeries struct {
	Key    []byte
	Chunks []Chunk
}

// Stream calls yield with the series that SelectPart would return, some hundred at a time, each once and in no order. So
// no more than that is held in memory. Several goroutines call yield at the same time; what it gets is valid until it
// returns. An error of yield ends the stream and is returned.
func (t *Tenant) Stream(ctx context.Context, part Part, mint, maxt int64, yield func([]KeyedSeries) error, ms ...*labels.Matcher) error {
	if err := t.enter(); err != nil {
		return err
	}
	defer t.leave()
	matched, total, err := t.match(ctx, ms)
	if err != nil || total == 0 {
		return err
	}
	return t.work(ctx, total, func() func(int, *stripe) error {
		var list []KeyedSeries
		var keys []byte
		c := &copier{mint: max(mint, t.floor.Load()), maxt: maxt, part: part}
		c.stepped = func() error {
			if len(list) == 0 {
				return nil
			}
			err := yield(list)
			list, keys = list[:0], keys[:0]
			return err
		}
		return func(i int, s *stripe) error {
			return c.each(ctx, s, matched[i].indexes, func(f *found, more int, err error) error {
				if err != nil {
					return c.failed(s, f, err)
				}
				if len(c.chunks) == 0 && !f.sure {
					return nil
				}
				begin := len(keys)
				// If keys moves when it grows, the keys before it keep the array that they are in.
				keys = s.appendKey(keys, f.set)
				one := KeyedSeries{Key: keys[begin:len(keys):len(keys)]}
				if part != NoSamples {
					one.Chunks = c.list(min(more, lockStep))
				}
				list = append(list, one)
				return nil
			})
		}
	})
}

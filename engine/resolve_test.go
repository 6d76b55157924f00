package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena"
)

// requireResolved compares what a batch was resolved to with its keys: no guess may ever stand for another series.
func requireResolved(t *testing.T, tn *Tenant, b *Batch) {
	t.Helper()
	for i := range b.Series {
		known := b.Series[i].Known
		s := &tn.stripes[known.stripe]
		require.Equal(t, tn.stripeOf(xxhash.Sum64(b.Series[i].Key)), known.stripe, "stripe of series %d", i)
		require.NotZero(t, known.rec, "series %d", i)
		rec := arena.At[record](s.a, known.rec)
		require.Equal(t, string(b.Series[i].Key), string(s.appendKey(nil, rec.labels)), "series %d", i)
		require.Equal(t, known.rec, s.root.index.Get(s.a, rec.index), "series %d", i)
	}
}

// asking is a batch on its way: a decoder that asks what is expected.
type asking struct{ of *Batch }

func (a asking) Fill(b *Batch) error {
	b.Reset()
	b.Samples = append(b.Samples, a.of.Samples...)
	for i, bs := range a.of.Series {
		m := bs.Key
		for k := i + 1; k < min(i+3, len(a.of.Series)); k++ { // what follows is no label
			m = append(append(slices.Clip(m), 0x12), a.of.Series[k].Key...)
		}
		if x := b.Expect(m); x.Size == len(bs.Key) {
			bs.Known = x.Known
		} else if x.Size > len(bs.Key) {
			return fmt.Errorf("%d bytes are expected of a key of %d", x.Size, len(bs.Key))
		}
		b.Series = append(b.Series, bs)
	}
	return nil
}

// lookalikes are label sets that differ in one place each: names and values of the same length, a label more or
// less, more labels than a knownSet takes, and pairs whose keys have the same hash.
func lookalikes(t *testing.T) (sets []labels.Labels) {
	for i := range 200 {
		sets = append(sets, labels.FromStrings("__name__", fmt.Sprint("m", i%3), "a", fmt.Sprint(i/3%4), "b", fmt.Sprint(i%7), "c", fmt.Sprint(i%9), "d", fmt.Sprintf("%03d", i)))
	}
	for i := range 40 {
		long := []string{"__name__", "long", "z", fmt.Sprint(i % 5)}
		for k := range 28 + i/5 {
			long = append(long, fmt.Sprintf("l%02d", k), "v")
		}
		sets = append(sets, labels.FromStrings(long...))
	}
	for i := range 10 {
		sets = append(sets, labels.FromStrings("__name__", "m0", "a", "0", "b", "0", fmt.Sprint("c", i), "0", "d", "000"))
	}
	a, b := colliding(t)
	return append(sets, a, b)
}

// TestResolve sends series in an order that changes in every way that an order can.
func TestResolve(t *testing.T) {
	sets := lookalikes(t)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, stripes := range []int{1, 4} {
		e := start(t, testConfig(t, byHand, func(c *Config) { c.Stripes = stripes }))
		order := rng.Perm(len(sets))
		known := len(sets) / 2 // the others come one by one
		for k := range 400 {
			switch rng.IntN(8) {
			case 0: // two change places
				i, j := rng.IntN(known), rng.IntN(known)
				order[i], order[j] = order[j], order[i]
			case 1: // a target moves
				n := rng.IntN(known / 4)
				slices.Reverse(order[:n])
			case 2:
				rng.Shuffle(known, func(i, j int) { order[i], order[j] = order[j], order[i] })
			case 3, 4:
				if known < len(sets) {
					i := rng.IntN(known)
					order[i], order[known] = order[known], order[i]
					known++
				}
			}
			lo := rng.IntN(2) * rng.IntN(known)
			var b Batch
			for _, i := range order[lo:known] {
				if rng.IntN(40) == 0 {
					continue
				}
				add(&b, sets[i], sample(testNow.UnixMilli()+int64(k)*1000, float64(i)))
			}
			if len(b.Series) == 0 {
				continue
			}
			if rng.IntN(2) == 0 {
				b = Batch{Source: asking{of: &Batch{Series: b.Series, Samples: b.Samples}}}
			}
			push(t, e, "t", &b)
			requireResolved(t, e.Tenant("t"), &b)
		}
		// In an order that stays, nothing but the first series is looked up, as soon as it is laid: what came before may have
		// left no room for that, for a time.
		for k := 0; ; k++ {
			var b Batch
			for _, i := range order {
				add(&b, sets[i], sample(testNow.UnixMilli()+int64(1000+k)*1000, 1))
			}
			if k%2 == 1 {
				b = Batch{Source: asking{of: &Batch{Series: b.Series, Samples: b.Samples}}}
			}
			push(t, e, "t", &b)
			requireResolved(t, e.Tenant("t"), &b)
			if b.work.missed == 1 {
				break
			}
			require.Less(t, k, trailAge*100)
		}
	}
}

// TestResolveBetween shows that a series to which no trail leads, and from which none goes on, costs one lookup.
func TestResolveBetween(t *testing.T) {
	e := start(t, testConfig(t, byHand))
	for k := range 6 {
		var b Batch
		for i := range 200 {
			if k > 0 && i == 100 {
				add(&b, labels.FromStrings("between", "1"), sample(testNow.UnixMilli()+int64(k), 1))
			}
			add(&b, pod(i), sample(testNow.UnixMilli()+int64(k), 1))
		}
		push(t, e, "t", &b)
		requireResolved(t, e.Tenant("t"), &b)
		if k > 0 {
			require.Equal(t, 2, b.work.missed)
		}
	}
}

// TestResolveTakenIn fills one batch again and again, as who takes series in does.
func TestResolveTakenIn(t *testing.T) {
	e := start(t, testConfig(t, byHand))
	var b Batch
	for k := range 6 {
		b.Series, b.Samples = b.Series[:0], b.Samples[:0]
		for i, l := range lookalikes(t)[k/2*10:] {
			add(&b, l, sample(testNow.UnixMilli()+int64(k), float64(i)))
		}
		_, err := e.TakeIn(t.Context(), "t", &b)
		require.NoError(t, err)
		requireResolved(t, e.Tenant("t"), &b)
	}
}

// TestResolveLongLabels follows a series by one that is long where it is short, and as long as a key can be: no trail leads
// there.
func TestResolveLongLabels(t *testing.T) {
	e := start(t, testConfig(t, byHand, func(c *Config) { c.Stripes = 1 }))
	for k := range 4 {
		var b Batch
		for i := range 6 {
			at := i % 2 * 60_000
			l := labels.FromStrings("a", strings.Repeat("x", 1+at+i), "b", "b", "c", strings.Repeat("y", 60_001-at), "d", "d")
			add(&b, l, sample(testNow.UnixMilli()+int64(k), 1))
		}
		push(t, e, "t", &b)
		requireResolved(t, e.Tenant("t"), &b)
	}
}

// TestResolveTogether shows that requests of several senders, each with an order of its own and all with the same
// series, and others that make series, do not lead each other astray.
func TestResolveTogether(t *testing.T) {
	e := start(t, testConfig(t, byHand))
	sets := lookalikes(t)
	var wg sync.WaitGroup
	for sender := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(2, uint64(sender)))
			for k := range 60 {
				var b Batch
				own := labels.NewBuilder(sets[k]).Set("sender", fmt.Sprint(sender)).Labels()
				for _, i := range rng.Perm(len(sets))[:100] {
					add(&b, sets[i], sample(testNow.UnixMilli()+int64(k*4+sender), float64(sender)))
				}
				add(&b, own, sample(testNow.UnixMilli()+int64(k), 1))
				_, err := e.Append(t.Context(), "t", &b)
				if err != nil {
					assert.ErrorContains(t, err, "out of order") // the others' are newer
				}
			}
		})
	}
	wg.Wait()
	tn := e.Tenant("t")
	for i := range tn.stripes {
		require.NoError(t, tn.stripes[i].walk())
	}
	live := 0
	for i := range tn.stripes {
		live += int(tn.stripes[i].root.live)
	}
	require.Equal(t, len(sets)+4*60, live)
}

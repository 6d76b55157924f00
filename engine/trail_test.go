package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena"
)

// relatives are label sets each of which has something of the one before: labels more and less, others with the same
// name, values that are longer and shorter.
func relatives(rng *rand.Rand, n, longest int) (out []labels.Labels) {
	value := func() string {
		return strings.Repeat(string(rune('a'+rng.IntN(3))), 1+rng.IntN(longest)) + strings.Repeat("é", rng.IntN(3))
	}
	l := labels.FromStrings("__name__", "m", "instance", "10.0.0.1:9090", "job", "j")
	for len(out) < n {
		b := labels.NewBuilder(l)
		for range rng.IntN(4) {
			name := fmt.Sprintf("%c%d", 'a'+rng.IntN(26), rng.IntN(2))
			switch old := l.Get(name); rng.IntN(3) {
			case 0:
				b.Del(name)
			case 1:
				b.Set(name, value())
			default:
				if at := rng.IntN(len(old) + 1); at < len(old) {
					b.Set(name, old[:at]+"x"+old[at+rng.IntN(2):])
				}
			}
		}
		l = b.Labels()
		out = append(out, l)
	}
	return out
}

// Whatever keys follow one another, a trail that was laid with them leads from each to the next, and only there.
func FuzzTrail(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(seed, uint16(seed*seed*seed))
	}
	f.Fuzz(func(t *testing.T, seed uint64, longest uint16) {
		rng := rand.New(rand.NewPCG(seed, 0))
		tn := &Tenant{log: 1, stripes: make([]stripe, 2)}
		for i := range tn.stripes {
			s := &tn.stripes[i]
			s.reserve = 64 << 20
			require.NoError(t, s.open())
			defer func() { require.NoError(t, s.detach()) }()
		}
		sets := relatives(rng, 40, 1+int(longest))
		b := Batch{}
		laid := [][]int{nil} // positions, run by run
		var r run
		for i, l := range sets {
			add(&b, l, Sample{})
			bs := &b.Series[i]
			bs.Known = Known{rec: arena.Ref(1 + i), stripe: uint8(i & 1)}
			if len(bs.Key) > maxKeySize {
				return
			}
			if !r.add(uint64(i), bs) {
				require.Greater(t, len(r.refs), 0, "the first of a run")
				tn.lay(&r)
				laid = append(laid, nil)
				require.True(t, r.add(uint64(i), bs))
			}
			laid[len(laid)-1] = append(laid[len(laid)-1], i)
		}
		tn.lay(&r)
		if len(laid) == len(sets) {
			return // none is like the one before
		}
		tr := tn.trail.Load()
		if uint64(tr.end) == runEnd {
			return // the first one was too long
		}
		for _, run := range laid {
			at := tr.place(uint64(run[0]))
			if len(run) == 1 || at == 0 {
				require.Zero(t, at)
				continue
			}
			ahead := follower{trail: tr, at: at, key: b.Series[run[0]].Key}
			for _, i := range run[1:] {
				require.Equal(t, tr.place(uint64(i-1)), ahead.at)
				key := b.Series[i].Key
				other := slices.Clone(key)
				other[rng.IntN(len(other))] ^= 1 << rng.IntN(8)
				before := ahead
				require.Equal(t, Expected{}, ahead.next(tn.stripes, other))
				require.Equal(t, Expected{}, ahead.next(tn.stripes, key[:rng.IntN(len(key))]))
				require.Equal(t, before, ahead, "what is not the next changes nothing")
				m := append(slices.Clip(key), other...)
				require.Equal(t, Expected{Known: b.Series[i].Known, Size: len(key), Labels: sets[i].Len()}, ahead.next(tn.stripes, m))
				require.Equal(t, string(key), string(ahead.key))
			}
			require.Equal(t, Expected{}, ahead.next(tn.stripes, b.Series[0].Key), "the run has ended")
		}
	})
}

// TestTrailIsBegunAnew shows that a trail takes no more than its share of memory, whatever is sent, and that a full one
// goes on to serve until it is old.
func TestTrailIsBegunAnew(t *testing.T) {
	const series = 1000
	rng := rand.New(rand.NewPCG(3, 3))
	tn := &Tenant{stripes: make([]stripe, 1)}
	b := Batch{}
	for i, l := range relatives(rng, series, 4) {
		add(&b, l, Sample{})
		b.Series[i].Known.rec = arena.Ref(1 + i)
	}
	lay := func() {
		var r run
		for _, i := range rng.Perm(series) {
			if !r.add(uint64(i), &b.Series[i]) {
				tn.lay(&r)
			}
		}
		tn.lay(&r)
		require.LessOrEqual(t, tn.trail.Load().end, uint32(trailMin+series*trailShare))
	}
	lay()
	first := tn.trail.Load()
	for before := uint32(0); before != first.end; lay() {
		before = first.end
	}
	require.Same(t, first, tn.trail.Load())
	first.asked.Store(series*trailAge + 1)
	lay()
	second := tn.trail.Load()
	require.NotSame(t, first, second)
	lay()
	require.Positive(t, second.laid.Load())
	require.Less(t, second.end, first.end)
	require.NotZero(t, first.data[runEnd], "who follows the first one can still read it")

	// What is for one trail is not laid in another, where other bytes are.
	tn.trail.Store(first)
	var r run
	r.begin(tn)
	require.True(t, r.add(0, &b.Series[0]) && r.add(1, &b.Series[1]))
	tn.trail.Store(second)
	before := second.laid.Load()
	tn.lay(&r)
	require.Equal(t, before, second.laid.Load())
}

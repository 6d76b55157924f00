package engine

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// The primes of XXH64.
const (
	prime1 = 0x9e3779b185ebca87
	prime2 = 0xc2b2ae3d27d4eb4f
)

// colliding returns two label sets of printable characters whose keys have the same xxhash64.
//
// XXH64 keeps four lanes. Lane 0 takes the first 8 of every 32 bytes: acc = rotl(acc + word*prime2, 31) * prime1. After
// two different words a second word can be found for the one that brings the lane to where the other one is: the
// difference of the second words is that of the lanes after the first ones, divided by prime2. Nothing else differs,
// so the hashes are equal, and would be under any seed that leads to the same difference.
func colliding(t testing.TB) (a, b labels.Labels) {
	t.Helper()
	const name = "__name__"
	pad := func(value []byte) labels.Labels { return labels.FromStrings(name, "m", "v", string(value)) }
	value := []byte(strings.Repeat(".", 128))
	key := keyOf(pad(value))
	at := len(key) - len(value) // where the value begins in the key
	word1 := (at + 31) / 32 * 32
	word2 := word1 + 32

	lane := uint64(prime1)
	lane += prime2 // the seed is 0
	step := func(lane, word uint64) uint64 { return bits.RotateLeft64(lane+word*prime2, 31) * prime1 }
	for i := 0; i < word1; i += 32 {
		lane = step(lane, binary.LittleEndian.Uint64(key[i:]))
	}
	inverse := uint64(prime2) // by Newton
	for range 6 {
		inverse *= 2 - prime2*inverse
	}
	rng := rand.New(rand.NewPCG(1, 2))
	printable := func() uint64 {
		var w [8]byte
		for i := range w {
			w[i] = byte('!' + rng.IntN('~'-'!'))
		}
		return binary.LittleEndian.Uint64(w[:])
	}
	put := func(first, second uint64) labels.Labels {
		v := append([]byte(nil), value...)
		binary.LittleEndian.PutUint64(v[word1-at:], first)
		binary.LittleEndian.PutUint64(v[word2-at:], second)
		return pad(v)
	}
	for range 1 << 22 {
		first, other, second := printable(), printable(), printable()
		matching := second + (step(lane, first)-step(lane, other))*inverse
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], matching)
		if strings.IndexFunc(string(w[:]), func(r rune) bool { return r < '!' || r > '~' }) < 0 {
			return put(first, second), put(other, matching)
		}
	}
	t.Fatal("no pair was found")
	return a, b
}

// Two label sets whose keys have the same hash are two series: in the same request and in different ones, as
// duplicates, after a kill (from the log), after a clean stop (from the images), and for queries. Labels are
// compared on every hit. (M1)
func TestCollidingSeries(t *testing.T) {
	a, b := colliding(t)
	require.NotEqual(t, a, b)
	require.Equal(t, xxhash.Sum64(keyOf(a)), xxhash.Sum64(keyOf(b)))
	t.Logf("%s\n%s", a, b)

	c := testConfig(t, byHand)
	e := start(t, c)
	now := testNow.UnixMilli()
	want := map[string][]Sample{}
	send := func(e *Engine, new int, sets ...labels.Labels) {
		var batch Batch
		for i, l := range sets {
			s := sample(now, float64(10*now)+float64(i))
			add(&batch, l, s)
			want[l.String()] = append(want[l.String()], s)
		}
		now++
		require.Equal(t, AppendResult{Stored: len(sets), NewSeries: new}, push(t, e, "t", &batch))
		require.Equal(t, AppendResult{Duplicates: len(sets)}, push(t, e, "t", &batch))
	}
	check := func(e *Engine) {
		require.Equal(t, want, contents(t, e, "t"))
		for _, l := range []labels.Labels{a, b} {
			found, err := e.Tenant("t").Select(t.Context(), 0, now, labels.MustNewMatcher(labels.MatchEqual, "v", l.Get("v")))
			require.NoError(t, err)
			require.Len(t, found, 1)
			require.Equal(t, l, found[0].Labels)
			require.Equal(t, want[l.String()], samplesOf(t, found[0]))
		}
		values, err := e.Tenant("t").LabelValues(t.Context(), "v", 0, now, 0)
		require.NoError(t, err)
		require.ElementsMatch(t, []string{a.Get("v"), b.Get("v")}, values)
	}
	send(e, 1, a)
	send(e, 1, b, a)
	send(e, 0, a, b)
	check(e)
	for _, how := range []string{"log", "images"} {
		c.Checkpoint = how == "images"
		require.NoError(t, e.Close())
		e = start(t, c)
		check(e)
		send(e, 0, b, a)
		send(e, 0, b)
		check(e)
	}
	imageAll(t, e) // which walks over them
	require.NoError(t, e.Close())
	e = start(t, c)
	check(e)
	require.NoError(t, e.Close())
}

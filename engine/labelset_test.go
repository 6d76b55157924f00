package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// Labels made in a block are those that the labels package makes, byte for byte: of all lengths at which a length is
// written in another way, for sets that share any of their pairs with the set before, in one place or moved, and in
// several stripes in turn. They stay what they are when the block is full and others follow.
func TestLabelsOfSets(t *testing.T) {
	require.Equal(t, "stringlabels", labels.ImplementationName, "labelWriter writes the form of another implementation")
	rng := rand.New(rand.NewPCG(11, 1))
	value := func() string {
		return strings.Repeat("x", oneOf(rng, 1, 2, 30, 100, 118, 119, 120, 121, 126, 127, 128, 129, 253, 254, 255, 256, 300, 16_383, 16_384)) + fmt.Sprint(rng.IntN(4))
	}
	var values [12]string
	for i := range values {
		values[i] = value()
	}
	e := start(t, testConfig(t, func(c *Config) { c.WAL, c.Checkpoint, c.Stripes = false, false, 2 }))
	var b Batch
	want := map[string]labels.Labels{}
	for i := range 400 {
		m := map[string]string{"id": fmt.Sprint(i)}
		for _, name := range []string{"__name__", "a", "bb", "job", strings.Repeat("long", 40), "zone"} {
			if rng.IntN(4) > 0 {
				m[name] = oneOf(rng, values[:]...)
			}
		}
		l := labels.FromMap(m)
		want[l.String()] = l
		add(&b, l, sample(testNow.UnixMilli(), 1))
	}
	push(t, e, "t", &b)

	ten := e.Tenant("t")
	var w labelWriter
	got := map[string]labels.Labels{}
	next := [2]uint32{1, 1}
	for len(got) < len(want) {
		i := rng.IntN(2)
		s := &ten.stripes[i]
		for range min(rng.Uint32N(30), s.root.next-next[i]) {
			l := w.write(s, s.pairsOf(s.record(next[i]).labels), rng.IntN(50))
			got[l.String()] = l
			next[i]++
		}
	}
	for text, l := range want {
		require.Equal(t, l.Bytes(nil), got[text].Bytes(nil))
		require.Equal(t, l.Hash(), got[text].Hash())
	}
	require.True(t, w.write(&ten.stripes[0], nil, 0).IsEmpty())
}

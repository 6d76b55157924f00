package engine

import (
	"github.com/cespare/xxhash/v2"
	"github.com/dgraph-io/ristretto/v2"
	"github.com/prometheus/prometheus/model/labels"
)

// matchCache remembers which values of a label a matcher accepts, so that a dashboard's regular expressions
// are evaluated once per distinct value and not once per query. Bounded by bytes.
type matchCache struct {
	c *ristretto.Cache[uint64, *matched]
}

// matched is what a matcher made of the first known pairs of a name in a stripe. Pairs are only ever added,
// so it stays true; what came later is judged when it is asked for.
type matched struct {
	stripe *stripe
	m      string // the matcher's text and sense: the cache's key is a hash of it
	known  int
	pairs  []uint32
}

const matchedOverhead = 96

func newMatchCache(maxBytes int64) (*matchCache, error) {
	c, err := ristretto.NewCache(&ristretto.Config[uint64, *matched]{
		NumCounters: max(maxBytes/1024, 1<<10) * 10, // ten times the entries it will hold
		MaxCost:     maxBytes,
		BufferItems: 64,
	})
	if err != nil {
		return nil, err
	}
	return &matchCache{c: c}, nil
}

func matcherKey(s *stripe, m *labels.Matcher, want bool) (uint64, string) {
	text := m.String()
	if want {
		text += "+"
	}
	return xxhash.Sum64String(text) ^ s.uid, text
}

func (c *matchCache) get(s *stripe, m *labels.Matcher, want bool) (known int, pairs []uint32) {
	k, text := matcherKey(s, m, want)
	if e, ok := c.c.Get(k); ok && e.stripe == s && e.m == text {
		return e.known, e.pairs
	}
	return 0, nil
}

func (c *matchCache) put(s *stripe, m *labels.Matcher, want bool, known int, pairs []uint32) {
	k, text := matcherKey(s, m, want)
	c.c.Set(k, &matched{stripe: s, m: text, known: known, pairs: pairs}, int64(matchedOverhead+len(text)+4*cap(pairs)))
}

func (c *matchCache) close() { c.c.Close() }

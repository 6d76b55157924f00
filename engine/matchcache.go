package engine

import (
	"github.com/cespare/xxhash/v2"
	"github.com/dgraph-io/ristretto/v2"
)

// matchCache remembers what queries learnt of label values: which of them a matcher accepts, so that a dashboard's
// regular expressions are evaluated once per distinct value and not once per query, and which distinct ones there
// are. Bounded by bytes.
type matchCache struct {
	matched *ristretto.Cache[uint64, *matched]
	tables  *ristretto.Cache[uint64, *namedTable]
	// tableMax is how large one table may grow.
	tableMax int64
}

// matched is what a matcher made of the first known pairs of a name in a stripe. Pairs are only ever added,
// so it stays true; what came later is judged when it is asked for.
type matched struct {
	stripe *stripe
	m      string // the matcher's text and sense: the cache's key is a hash of it
	known  int
	pairs  []uint32
}

// namedTable is a table with what it is of: the cache's key is a hash of that.
type namedTable struct {
	tenant *Tenant
	name   string
	*valueTable
}

const matchedOverhead = 96

func newMatchCache(maxBytes int64) (*matchCache, error) {
	half := maxBytes / 2
	matched, err := newCache[*matched](half)
	if err != nil {
		return nil, err
	}
	tables, err := newCache[*namedTable](half)
	if err != nil {
		matched.Close()
		return nil, err
	}
	return &matchCache{matched: matched, tables: tables, tableMax: half / 2}, nil
}

func newCache[V any](maxBytes int64) (*ristretto.Cache[uint64, V], error) {
	return ristretto.NewCache(&ristretto.Config[uint64, V]{
		NumCounters: max(maxBytes/1024, 1<<10) * 10, // ten times the entries it will hold
		MaxCost:     maxBytes,
		BufferItems: 64,
	})
}

func (c *matchCache) get(s *stripe, j *judge) (known int, pairs []uint32) {
	if e, ok := c.matched.Get(j.hash ^ s.uid); ok && e.stripe == s && e.m == j.text {
		return e.known, e.pairs
	}
	return 0, nil
}

func (c *matchCache) put(s *stripe, j *judge, known int, pairs []uint32) {
	c.matched.Set(j.hash^s.uid, &matched{stripe: s, m: j.text, known: known, pairs: pairs}, int64(matchedOverhead+len(j.text)+4*cap(pairs)))
}

func tableKey(t *Tenant, name string) uint64 { return xxhash.Sum64String(name) ^ t.stripes[0].uid }

// table returns the table of a name, an empty one if there is none yet.
func (c *matchCache) table(t *Tenant, name string) *valueTable {
	if e, ok := c.tables.Get(tableKey(t, name)); ok && e.tenant == t && e.name == name {
		return e.valueTable
	}
	return &valueTable{}
}

// putTable keeps a table, or tells what it takes now.
func (c *matchCache) putTable(t *Tenant, name string, vt *valueTable, size int64) {
	c.tables.Set(tableKey(t, name), &namedTable{t, name, vt}, matchedOverhead+int64(len(name))+size)
}

func (c *matchCache) close() {
	c.matched.Close()
	c.tables.Close()
}

package engine

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// metadataStore keeps what a metric family is, in memory only, as Cortex does: senders repeat it every minute.
type metadataStore struct {
	retain time.Duration

	mu struct {
		sync.RWMutex
		families map[string]map[Description]time.Time // when each was last seen
	}
}

// Description is what a metric family says of itself. Type is numbered as in Metadata.
type Description struct {
	Type       uint8
	Help, Unit string
}

// maxMetadata bounds the entries of one tenant, maxPerFamily those of one family.
const (
	maxMetadata  = 8000
	maxPerFamily = 10
)

func newMetadataStore(retain time.Duration) *metadataStore {
	m := &metadataStore{retain: retain}
	m.mu.families = map[string]map[Description]time.Time{}
	return m
}

// put remembers entries. What is over a limit is left out: metadata is best effort.
func (m *metadataStore) put(entries []Metadata, now time.Time) {
	if len(entries) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		f := m.mu.families[string(e.Family)]
		if f == nil {
			if len(m.mu.families) >= maxMetadata {
				continue
			}
			f = map[Description]time.Time{}
			m.mu.families[string(e.Family)] = f
		}
		d := Description{Type: e.Type, Help: string(e.Help), Unit: string(e.Unit)}
		if _, known := f[d]; known || len(f) < maxPerFamily {
			f[d] = now
		}
	}
}

// purge forgets what has not been seen for a while.
func (m *metadataStore) purge(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, f := range m.mu.families {
		maps.DeleteFunc(f, func(_ Description, seen time.Time) bool { return now.Sub(seen) > m.retain })
		if len(f) == 0 {
			delete(m.mu.families, name)
		}
	}
}

// Metadata calls yield with what is known of a metric family, or of each in order if family is "", until it
// returns false.
func (t *Tenant) Metadata(family string, yield func(family string, descriptions []Description) bool) {
	m := t.metadata
	m.mu.RLock()
	defer m.mu.RUnlock()
	names := []string{family}
	if family == "" {
		names = slices.Sorted(maps.Keys(m.mu.families))
	}
	for _, n := range names {
		if f := m.mu.families[n]; len(f) > 0 && !yield(n, slices.SortedFunc(maps.Keys(f), compareDescriptions)) {
			return
		}
	}
}

func compareDescriptions(a, b Description) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Help, b.Help), cmp.Compare(a.Unit, b.Unit))
}

func (m *metadataStore) len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.mu.families)
}

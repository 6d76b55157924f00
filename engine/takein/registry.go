package takein

import (
	"bytes"
	"math"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/engine"
)

// registry knows the series of a source. A label set is one series, whatever references the source gave it: it gets a
// new one each time when it comes back.
type registry struct {
	refs   map[uint64]uint32 // the source's reference -> position in series
	hashes map[uint64]uint32 // hash of the key -> position of the series that has it, the newest
	series []series
	slab   []byte // where keys are put: many small allocations would cost as much again
	key    []byte
}

type series struct {
	key  []byte // canonical; empty if the labels cannot be stored
	next uint32 // the series before with the same hash, +1; 0 = none
	// newest is the time of the newest sample of the log.
	newest int64
	// histogram: the newest sample is a native histogram, which decides what a staleness marker belongs to.
	histogram bool
}

const slabSize = 1 << 20

func newRegistry() *registry {
	return &registry{refs: map[uint64]uint32{}, hashes: map[uint64]uint32{}}
}

// add notes that ref names a label set from here on.
func (r *registry) add(ref uint64, l labels.Labels) {
	var ok bool
	r.key, ok = engine.AppendKey(r.key[:0], l)
	if !ok {
		r.refs[ref] = uint32(len(r.series))
		r.series = append(r.series, series{newest: math.MinInt64})
		return
	}
	hash := xxhash.Sum64(r.key)
	first, there := r.hashes[hash]
	if there {
		for i := first; ; i = r.series[i].next - 1 {
			if bytes.Equal(r.series[i].key, r.key) {
				r.refs[ref] = i
				return
			}
			if r.series[i].next == 0 {
				break
			}
		}
	}
	s := series{key: r.keep(), newest: math.MinInt64}
	if there {
		s.next = first + 1
	}
	i := uint32(len(r.series))
	r.hashes[hash], r.refs[ref] = i, i
	r.series = append(r.series, s)
}

// keep copies the key to the slab.
func (r *registry) keep() []byte {
	if cap(r.slab)-len(r.slab) < len(r.key) {
		r.slab = make([]byte, 0, max(slabSize, len(r.key)))
	}
	from := len(r.slab)
	r.slab = append(r.slab, r.key...)
	return r.slab[from:len(r.slab):len(r.slab)]
}

// find returns the position of the series that ref names.
func (r *registry) find(ref uint64) (uint32, bool) {
	i, ok := r.refs[ref]
	return i, ok
}

package engine

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/rekindledb/rekindle/arena"
)

// A request is laid anew when more than one in layMany of its series had to be looked up, beside the first. A lookup
// takes as long as laying three, so one in layFew is enough if it does not happen all the time: not more than one series
// in layMany is laid for that reason.
const (
	layMany = 16
	layFew  = 128
)

// learn lays the trail anew where it led through too little of a request, now that all series are known but those that
// were refused.
func (t *Tenant) learn(b *Batch) {
	w, n := &b.work, len(b.Series)
	tr := w.ahead.trail
	if tr != nil {
		tr.asked.Add(int64(n))
	}
	if w.missed <= 1+n/layFew || w.missed <= 1+n/layMany && (tr == nil || tr.laid.Load() > tr.asked.Load()/layMany) {
		return
	}
	for i := range b.Series {
		bs := &b.Series[i]
		if bs.Known.rec == 0 {
			t.lay(&w.run)
			continue
		}
		s := &t.stripes[bs.Known.stripe]
		ref := s.ref(arena.At[record](s.a, bs.Known.rec).index)
		if !w.run.add(ref, bs) {
			t.lay(&w.run)
			w.run.add(ref, bs)
		}
	}
	t.lay(&w.run)
}

// lay adds a run to the trail, which is begun anew if it is full and old, and begins the next run.
func (t *Tenant) lay(r *run) {
	if len(r.data) > 0 {
		tr := t.trail.Load()
		if tr == nil || !tr.lay(r) && tr.old() {
			if next := newTrail(); next != nil && t.trail.CompareAndSwap(tr, next) {
				next.lay(r)
			}
		}
	}
	r.data, r.refs, r.behind, r.key = r.data[:0], r.refs[:0], r.behind[:0], nil
}

// run is a run of the trail that is being put together.
type run struct {
	data   []byte
	refs   []uint64
	behind []uint32 // of each ref, where in data the entry behind it begins
	key    []byte   // of the series added last

	// The edit that has been begun, and how many bytes are kept behind it so far.
	keep, drop int
	fresh      []byte
	kept       int
	edits      int // of the entry

	seen [256]uint16 // where in data fresh bytes are, by hash; perhaps in that of a run before
}

const (
	runSize = 16 << 10 // a run that is longer than this ends
	// trimmed is how many bytes of a label are written as they are. More are looked for in what was written before.
	trimmed = 6
)

// add puts a series behind the others, unless it must be the first of another run.
func (r *run) add(ref uint64, bs *BatchSeries) bool {
	at := len(r.data)
	if len(r.refs) > 0 {
		if at > runSize {
			return false
		}
		var head [entryHead]byte
		r.data, r.edits = append(r.data, head[:]...), 0
		labels := r.turn(r.key, bs.Key)
		if labels > maxEntryLabels || r.edits > maxEntryEdits || len(r.data) > math.MaxUint16 {
			r.data = r.data[:at]
			return false
		}
		binary.LittleEndian.PutUint32(r.data[at:], uint32(bs.Known.rec))
		binary.LittleEndian.PutUint16(r.data[at+4:], uint16(bs.Known.stripe)<<entryStripe|uint16(labels)<<entryLabels|uint16(r.edits))
	}
	r.refs, r.behind, r.key = append(r.refs, ref), append(r.behind, uint32(len(r.data))), bs.Key
	return true
}

// turn writes the edits that turn one key into another, and returns how many labels that has. The labels of both are
// sorted by name.
func (r *run) turn(from, to []byte) (labels int) {
	r.keep, r.kept, r.drop, r.fresh = 0, 0, 0, r.fresh[:0]
	for len(to) > 0 {
		b, rest, _ := nextPair(to)
		if bytes.HasPrefix(from, b) {
			r.kept += len(b)
			from, to = from[len(b):], rest
			labels++
			continue
		}
		a, fromRest, _ := nextPair(from)
		x, _, _ := splitPair(a)
		y, _, _ := splitPair(b)
		switch c := bytes.Compare(x, y); {
		case len(a) > 0 && c < 0:
			r.edit(len(a), nil)
			from = fromRest
			continue
		case c == 0:
			r.replace(a, b)
			from = fromRest
		default:
			r.edit(0, b)
		}
		to = rest
		labels++
	}
	r.edit(len(from), nil)
	r.flush()
	return labels
}

// replace writes another label of the same name.
func (r *run) replace(a, b []byte) {
	if len(a) == len(b) {
		lo, hi := 0, len(a)
		for a[lo] == b[lo] {
			lo++
		}
		for a[hi-1] == b[hi-1] {
			hi--
		}
		if hi-lo <= trimmed {
			r.kept += lo
			r.edit(hi-lo, b[lo:hi])
			r.kept = len(a) - hi
			return
		}
	}
	r.edit(len(a), b)
}

// edit has the next drop bytes of the key before left out and fresh ones put in. It joins the edit before if nothing is
// kept between them.
func (r *run) edit(drop int, fresh []byte) {
	if r.kept > 0 {
		r.flush()
	}
	r.drop += drop
	r.fresh = append(r.fresh, fresh...)
}

// flush writes the edit that has been begun, and begins another behind the bytes that are kept.
func (r *run) flush() {
	keep, drop, fresh := r.keep, r.drop, r.fresh
	for drop+len(fresh) > 0 {
		k, d, n := min(keep, maxKeep), 0, 0
		if k == keep {
			d, n = min(drop, math.MaxUint8), min(len(fresh), math.MaxUint8)
		}
		head := uint32(k | d<<16 | n<<24)
		here := len(r.data) + editHead
		if at := r.find(fresh[:n]); at > 0 {
			r.data = binary.LittleEndian.AppendUint32(r.data, head|editBack)
			r.data = binary.LittleEndian.AppendUint16(r.data, uint16(here-at))
		} else {
			r.data = append(binary.LittleEndian.AppendUint32(r.data, head), fresh[:n]...)
		}
		keep, drop, fresh = keep-k, drop-d, fresh[n:]
		r.edits++
	}
	r.keep, r.kept, r.drop, r.fresh = r.kept, 0, 0, r.fresh[:0]
}

// find returns where b was written before, 0 if it was not: then it will be, behind an edit's head.
func (r *run) find(b []byte) (at int) {
	if len(b) <= trimmed {
		return 0
	}
	seen := &r.seen[xxhash.Sum64(b)%uint64(len(r.seen))]
	at = int(*seen)
	if at > 0 && at+len(b) <= len(r.data) && string(r.data[at:at+len(b)]) == string(b) {
		return at
	}
	*seen = uint16(len(r.data) + editHead)
	return 0
}

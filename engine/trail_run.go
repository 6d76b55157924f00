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
	r := &w.run
	r.begin(t)
	for i := range b.Series {
		bs := &b.Series[i]
		if bs.Known.rec == 0 {
			t.lay(r)
			continue
		}
		s := &t.stripes[bs.Known.stripe]
		ref := s.ref(arena.At[record](s.a, bs.Known.rec).index)
		if !r.add(ref, bs) {
			t.lay(r)
			r.add(ref, bs)
		}
	}
	t.lay(r)
	r.trail = nil
}

// lay adds a run to the trail, or begins that anew if it is full and old, and begins the next run.
func (t *Tenant) lay(r *run) {
	tr := t.trail.Load()
	switch {
	case len(r.data) == 0:
	case tr != r.trail: // it says of bytes that they are in another trail
	case tr == nil:
		if tr = newTrail(); tr != nil && t.trail.CompareAndSwap(nil, tr) {
			tr.lay(r)
		}
	default:
		if !tr.lay(r) && tr.old() {
			if next := newTrail(); next != nil {
				t.trail.CompareAndSwap(tr, next)
			}
		}
	}
	r.begin(t)
}

// run is a run of the trail that is being put together.
type run struct {
	data   []byte
	refs   []uint64
	behind []uint32 // of each ref, where in data the entry behind it begins
	key    []byte   // of the series added last

	trail *trail       // that it is for; nil if there is none yet
	fresh []freshBytes // that an edit has

	// The edit that has been begun, and how many bytes are kept behind it so far.
	keep, drop int
	put        []byte
	kept       int
	edits      int // of the entry
}

type freshBytes struct{ hash, at uint32 } // at: in data

const (
	runSize = 16 << 10 // a run that is longer than this ends
	// trimmed is how many bytes of a label are written as they are. More are looked for in what was written before.
	trimmed = 6
)

// begin empties the run.
func (r *run) begin(t *Tenant) {
	r.data, r.refs, r.behind, r.key = r.data[:0], r.refs[:0], r.behind[:0], nil
	r.fresh, r.trail = r.fresh[:0], t.trail.Load()
}

// add puts a series behind the others, unless it must be the first of another run.
func (r *run) add(ref uint64, bs *BatchSeries) bool {
	at := len(r.data)
	if len(r.refs) > 0 {
		if at > runSize {
			return false
		}
		fresh := len(r.fresh)
		var head [entryHead]byte
		r.data, r.edits = append(r.data, head[:]...), 0
		labels := r.turn(r.key, bs.Key)
		if labels > maxEntryLabels || r.edits > maxEntryEdits {
			r.data, r.fresh = r.data[:at], r.fresh[:fresh]
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
	r.keep, r.kept, r.drop, r.put = 0, 0, 0, r.put[:0]
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
	r.put = append(r.put, fresh...)
}

// flush writes the edit that has been begun, and begins another behind the bytes that are kept.
func (r *run) flush() {
	keep, drop, fresh := r.keep, r.drop, r.put
	for drop+len(fresh) > 0 {
		k, d, n := min(keep, maxKeep), 0, 0
		if k == keep {
			d, n = min(drop, math.MaxUint8), min(len(fresh), math.MaxUint8)
		}
		r.write(uint32(k|d<<16|n<<24), fresh[:n])
		keep, drop, fresh = keep-k, drop-d, fresh[n:]
		r.edits++
	}
	r.keep, r.kept, r.drop, r.put = r.kept, 0, 0, r.put[:0]
}

// write writes one edit.
func (r *run) write(head uint32, fresh []byte) {
	if len(fresh) <= trimmed {
		r.data = append(binary.LittleEndian.AppendUint32(r.data, head), fresh...)
		return
	}
	hash := uint32(xxhash.Sum64(fresh))
	if at := r.trail.find(hash, fresh); at > 0 {
		r.data = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(r.data, head|editElsewhere), at)
		return
	}
	r.fresh = append(r.fresh, freshBytes{hash, uint32(len(r.data) + editHead)})
	r.data = append(binary.LittleEndian.AppendUint32(r.data, head), fresh...)
}

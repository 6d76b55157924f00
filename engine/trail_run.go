package engine

import (
	"bytes"
	"encoding/binary"
	"math"

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

	// The edit that has been begun, and what of the key before is kept behind it.
	keep, drop, gap int
	fresh           []byte
	at              int // bytes of the key before that are accounted for
	edits           int // of the entry
}

const (
	runSize = 16 << 10 // a run that is longer than this ends
	// editGap is how many bytes that are kept between two edits are rather written again.
	editGap = 4
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
		if labels > math.MaxUint8 || r.edits > math.MaxUint8 {
			r.data = r.data[:at]
			return false
		}
		binary.LittleEndian.PutUint32(r.data[at:], uint32(bs.Known.rec))
		r.data[at+4], r.data[at+5], r.data[at+6] = bs.Known.stripe, uint8(labels), uint8(r.edits)
	}
	r.refs, r.behind, r.key = append(r.refs, ref), append(r.behind, uint32(len(r.data))), bs.Key
	return true
}

// turn writes the edits that turn one key into another, and returns how many labels that has. The labels of both are
// sorted by name.
func (r *run) turn(from, to []byte) (labels int) {
	r.keep, r.drop, r.gap, r.at, r.fresh = 0, 0, 0, 0, r.fresh[:0]
	for len(from) > 0 || len(to) > 0 {
		a, fromRest, _ := nextPair(from)
		b, toRest, _ := nextPair(to)
		if string(a) == string(b) {
			r.keepOn(len(a))
			from, to = fromRest, toRest
			labels++
			continue
		}
		x, y := partsOf(a), partsOf(b)
		switch c := bytes.Compare(x.name, y.name); {
		case c == 0:
			r.replace(a[:x.body], b[:y.body])
			r.keepOn(x.size - x.body)
			r.replace(a[x.size:x.value], b[y.size:y.value])
			r.replace(a[x.value:], b[y.value:])
			from, to = fromRest, toRest
			labels++
		case len(b) == 0 || len(a) > 0 && c < 0:
			r.replace(a, nil)
			from = fromRest
		default:
			r.replace(nil, b)
			to = toRest
			labels++
		}
	}
	r.edit()
	return labels
}

// pairParts is a label's name, and where in its canonical bytes there is: what comes behind its size, the size of the value,
// the value.
type pairParts struct {
	name              []byte
	body, size, value int
}

func partsOf(b []byte) pairParts {
	name, value, ok := splitPair(b)
	if !ok {
		return pairParts{}
	}
	_, k := binary.Uvarint(b[1:])
	body := 1 + k
	_, k = binary.Uvarint(b[body+1:])
	return pairParts{name: name, body: body, size: body + 1 + k + len(name) + 1, value: len(b) - len(value)}
}

// keepOn says that the next n bytes are in both keys.
func (r *run) keepOn(n int) { r.gap, r.at = r.gap+n, r.at+n }

// replace says that the next bytes, old, are others in the new key.
func (r *run) replace(old, fresh []byte) {
	n := 0
	for n < min(len(old), len(fresh)) && old[n] == fresh[n] {
		n++
	}
	r.keepOn(n)
	if old, fresh = old[n:], fresh[n:]; len(old)+len(fresh) == 0 {
		return
	}
	n = 0
	for n < min(len(old), len(fresh)) && old[len(old)-1-n] == fresh[len(fresh)-1-n] {
		n++
	}
	if r.drop+len(r.fresh) > 0 && r.gap <= editGap {
		r.fresh = append(r.fresh, r.key[r.at-r.gap:r.at]...)
		r.drop += r.gap
	} else {
		r.edit()
		r.keep, r.drop, r.fresh = r.gap, 0, r.fresh[:0]
	}
	r.gap = 0
	r.drop += len(old) - n
	r.fresh = append(r.fresh, fresh[:len(fresh)-n]...)
	r.at += len(old) - n
	r.keepOn(n)
}

// edit ends the edit that has been begun, if one was.
func (r *run) edit() {
	keep, drop, fresh := r.keep, r.drop, r.fresh
	for drop+len(fresh) > 0 {
		k, d, n := min(keep, math.MaxUint16), 0, 0
		if k == keep {
			d, n = min(drop, math.MaxUint8), min(len(fresh), math.MaxUint8)
		}
		r.data = binary.LittleEndian.AppendUint16(r.data, uint16(k))
		r.data = append(append(r.data, uint8(d), uint8(n)), fresh[:n]...)
		keep, drop, fresh = keep-k, drop-d, fresh[n:]
		r.edits++
	}
}

package walio

import (
	"encoding/binary"
	"math"
	"slices"
)

// The body of a Samples record, after the type byte:
//
//	base ref (8 bytes)  base time (8 bytes)  for each sample: varint(ref-base) varint(time-base) value (8 bytes)
//
// This loop decides how fast a log is replayed; nothing in it is called or allocated for one sample.

const sampleSizeMin = 1 + 1 + 8

// sampleRange is a stretch of samples of one stripe.
type sampleRange struct {
	stripe, lo, hi int
	base           int64
	maxIndex       uint32
}

// samples puts the samples of one record into w. It returns false, with nothing added, if body is malformed.
func (d *extentDecoder) samples(w *window, commit uint64, body []byte) (uint64, bool) {
	if len(body) < 16 {
		return 0, false
	}
	baseRef, baseTime := binary.BigEndian.Uint64(body), int64(binary.BigEndian.Uint64(body[8:]))
	body = body[16:]
	from := len(w.samples)
	n, ok := d.decodeSamples(w.samples[:cap(w.samples)], from, body, baseRef, baseTime)
	if !ok && n == cap(w.samples) { // the headers announced fewer
		w.samples = slices.Grow(w.samples, len(body)/sampleSizeMin)
		n, ok = d.decodeSamples(w.samples[:cap(w.samples)], from, body, baseRef, baseTime)
	}
	if !ok {
		return 0, false
	}
	w.samples = w.samples[:n]
	for _, r := range d.ranges {
		w.maxIndex[r.stripe] = max(w.maxIndex[r.stripe], uint64(r.maxIndex))
		if commit > d.filter.from[r.stripe] {
			w.addRun(r.stripe, RunSamples, r.lo, r.hi, r.base)
			w.applied.Samples += uint64(r.hi - r.lo)
		}
	}
	return uint64(n - from), true
}

// decodeSamples decodes body to out[n:] and returns where it ended: at the end of out if there is no room. The
// stretches of stripes are left in d.ranges.
//
// Most samples belong to the stripe of the one before: run takes those, and all that can be wrong, or ends a
// stretch, is met here.
func (d *extentDecoder) decodeSamples(out []RefSample, n int, body []byte, baseRef uint64, baseTime int64) (int, bool) {
	d.ranges = d.ranges[:0]
	cur := sampleRange{stripe: -1}
	base := d.base
	for len(body) > 0 {
		dref, i := binary.Uvarint(body)
		if i <= 0 {
			return n, false
		}
		dtime, k := binary.Uvarint(body[i:])
		if k <= 0 || len(body)-i-k < 8 || n >= len(out) {
			return n, false
		}
		ref, t := baseRef+unzigzag(dref), baseTime+int64(unzigzag(dtime))
		if !d.filter.valid(ref) {
			return n, false
		}
		far := t-base != int64(int32(t-base))
		if stripe := d.filter.stripe(ref); stripe != cur.stripe || far {
			if cur.hi = n; cur.stripe >= 0 {
				d.ranges = append(d.ranges, cur)
			}
			if far {
				base = t
			}
			cur = sampleRange{stripe: stripe, lo: n, base: base}
		}
		index := uint32(ref >> d.filter.shift)
		out[n] = RefSample{V: binary.BigEndian.Uint64(body[i+k:]), Index: index, Offset: int32(t - base)}
		n++
		i += k + 8
		// Differences to the base in units of the stripe's own: the stripe stays where they are whole.
		used, got, greatest := decodeRun(body[i:], out[n:], d.filter.shift, int64(baseRef-uint64(cur.stripe)), baseTime-base)
		cur.maxIndex = max(cur.maxIndex, index, greatest)
		n, body = n+got, body[i+used:]
	}
	if cur.hi = n; cur.stripe >= 0 {
		d.ranges = append(d.ranges, cur)
	}
	d.base = base
	return n, true
}

// decodeRun decodes samples as long as they are of one stripe, their references and times are written in few
// bytes, and the input is not near its end. ref is the base reference less the stripe, so that a reference of
// the stripe has no bits below shift; offset the difference of the two base times.
func decodeRun(body []byte, out []RefSample, shift uint, ref, offset int64) (used, n int, maxIndex uint32) {
	low := int64(1)<<shift - 1
	for len(body)-used >= 16 && n < len(out) {
		w := binary.LittleEndian.Uint64(body[used:])
		var dref uint64
		i := used + 1
		switch {
		case w&0x80 == 0:
			dref = w & 0x7f
			w >>= 8
		case w&0x8000 == 0:
			dref = w&0x7f | w>>1&0x3f80
			w >>= 16
			i++
		case w&0x800000 == 0:
			dref = w&0x7f | w>>1&0x3f80 | w>>2&0x1fc000
			w >>= 24
			i += 2
		default:
			return used, n, maxIndex
		}
		var dtime uint64
		i++
		switch {
		case w&0x80 == 0:
			dtime = w & 0x7f
		case w&0x8000 == 0:
			dtime = w&0x7f | w>>1&0x3f80
			i++
		case w&0x800000 == 0:
			dtime = w&0x7f | w>>1&0x3f80 | w>>2&0x1fc000
			i += 2
		default:
			return used, n, maxIndex
		}
		r, t := ref+int64(unzigzag(dref)), offset+int64(unzigzag(dtime))
		index := r >> shift
		if r&low != 0 || index <= 0 || index > math.MaxUint32 || r >= 1<<refBits || t != int64(int32(t)) {
			return used, n, maxIndex
		}
		if len(body)-i < 8 {
			return used, n, maxIndex
		}
		out[n] = RefSample{V: binary.BigEndian.Uint64(body[i:]), Index: uint32(index), Offset: int32(t)}
		maxIndex = max(maxIndex, uint32(index))
		n++
		used = i + 8
	}
	return used, n, maxIndex
}

func unzigzag(u uint64) uint64 { return u>>1 ^ -(u & 1) }

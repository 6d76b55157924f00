package walio

import (
	"encoding/binary"
	"math"
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
	maxRef         uint64
}

// samples puts the samples of one record into w. It returns false, with nothing added, if body is malformed.
func (d *extentDecoder) samples(w *window, commit uint64, body []byte) (uint64, bool) {
	if len(body) < 16 {
		return 0, false
	}
	baseRef, baseTime := binary.BigEndian.Uint64(body), int64(binary.BigEndian.Uint64(body[8:]))
	body = body[16:]
	from := len(w.samples)
	w.growSamples(len(body) / sampleSizeMin)
	n, ok := d.decodeSamples(w.samples[:cap(w.samples)], from, body, baseRef, baseTime)
	if !ok {
		return 0, false
	}
	w.samples = w.samples[:n]
	shift := d.filter.shift
	for _, r := range d.ranges {
		w.maxIndex[r.stripe] = max(w.maxIndex[r.stripe], r.maxRef>>shift)
		if commit > d.filter.from[r.stripe] {
			w.addRun(r.stripe, RunSamples, r.lo, r.hi)
			w.applied.Samples += uint64(r.hi - r.lo)
		}
	}
	return uint64(n - from), true
}

// decodeSamples decodes body to out[n:] and returns where it ended. out has room for the shortest samples
// possible. The stretches of stripes are left in d.ranges.
func (d *extentDecoder) decodeSamples(out []RefSample, n int, body []byte, baseRef uint64, baseTime int64) (int, bool) {
	mask, shift := uint64(d.filter.stripes-1), d.filter.shift
	refMin := uint64(1) << shift
	refSpan := min(uint64(1)<<refBits, uint64(math.MaxUint32+1)<<shift) - refMin
	d.ranges = d.ranges[:0]
	cur := sampleRange{stripe: -1}
	for len(body) > 0 {
		var dref, dtime uint64
		// Most differences of references take two or three bytes and most of times one.
		if len(body) >= sampleSizeMax {
			i := 3
			b := body[:sampleSizeMax]
			switch {
			case b[0] < 0x80:
				dref, i = uint64(b[0]), 1
			case b[1] < 0x80:
				dref, i = uint64(b[0]&0x7f)|uint64(b[1])<<7, 2
			case b[2] < 0x80:
				dref = uint64(b[0]&0x7f) | uint64(b[1]&0x7f)<<7 | uint64(b[2])<<14
			default:
				if dref, i = binary.Uvarint(b); i <= 0 {
					return n, false
				}
			}
			body = body[i:]
			if body[0] < 0x80 {
				dtime, i = uint64(body[0]), 1
			} else if dtime, i = binary.Uvarint(body); i <= 0 {
				return n, false
			}
			body = body[i:]
		} else {
			i := 0
			if dref, i = binary.Uvarint(body); i <= 0 {
				return n, false
			}
			body = body[i:]
			if dtime, i = binary.Uvarint(body); i <= 0 {
				return n, false
			}
			body = body[i:]
		}
		if len(body) < 8 {
			return n, false
		}
		ref := baseRef + unzigzag(dref)
		if ref-refMin >= refSpan {
			return n, false
		}
		if stripe := int(ref & mask); stripe != cur.stripe {
			if cur.hi = n; cur.stripe >= 0 {
				d.ranges = append(d.ranges, cur)
			}
			cur = sampleRange{stripe: stripe, lo: n}
		}
		cur.maxRef = max(cur.maxRef, ref)
		out[n] = RefSample{
			T:     baseTime + int64(unzigzag(dtime)),
			V:     binary.BigEndian.Uint64(body),
			Index: uint32(ref >> shift),
		}
		n++
		body = body[8:]
	}
	if cur.hi = n; cur.stripe >= 0 {
		d.ranges = append(d.ranges, cur)
	}
	return n, true
}

func unzigzag(u uint64) uint64 { return u>>1 ^ -(u & 1) }

// growSamples makes room for n more samples.
func (w *window) growSamples(n int) {
	if cap(w.samples)-len(w.samples) >= n {
		return
	}
	s := make([]RefSample, len(w.samples), max(len(w.samples)+n, 2*cap(w.samples)))
	copy(s, w.samples)
	w.samples = s
}

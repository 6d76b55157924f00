package xor

import (
	"encoding/binary"
	"math"
)

// fastBytes is how many bytes must follow for a sample to be read without looking for the chunk's end: 7 bits of the
// byte it begins in, 24 of a time, 13 of a window and 64 of a value.
const fastBytes = (7+24+13+64)/8 + 1

// Read decodes the next samples into t and v, which are of one length, and returns how many. Fewer than that are
// found at the end of the chunk and at a fault, which Err tells. It finds what Next finds, in a third of the time:
// between two samples the decoder's state stays in registers.
func (it *Iterator) Read(t []int64, v []float64) (n int) {
	for n < len(t) {
		if it.read >= 2 {
			n += it.readFast(it.b, 0, t[n:], v[n:])
			if left := it.b[min(it.pos>>3, uint(len(it.b))):]; n < len(t) && len(left) < fastBytes {
				// The last samples, on a copy behind which there is room. What is not in the chunk is not taken.
				var padded [2 * fastBytes]byte
				base := it.pos &^ 7
				copy(padded[:], left)
				n += it.readFast(padded[:], base, t[n:], v[n:])
			}
		}
		// The first two samples, a time far from where it is expected, faults.
		if n == len(t) || !it.Next() {
			break
		}
		t[n], v[n] = it.t, math.Float64frombits(it.v)
		n++
	}
	return n
}

// readFast decodes samples behind the first two until there is one that needs more care. b is the chunk from bit base
// on, and may be longer.
func (it *Iterator) readFast(b []byte, base uint, t []int64, v []float64) (n int) {
	var (
		end         = uint(len(it.b))*8 - base
		pos         = it.pos - base
		at, value   = it.t, it.v
		delta       = it.delta
		lead, trail = uint(it.lead), uint(it.trail)
	)
	t = t[:min(len(t), int(it.total-it.read))]
	v = v[:len(t)]
	for n < len(t) {
		first := pos >> 3
		if first+fastBytes > uint(len(b)) {
			break
		}
		w := binary.BigEndian.Uint64(b[first:]) << (pos & 7) // the next 57 bits, at the top
		if w>>62 == 0 && pos+2 <= end {
			// Regular times, the same value: the most frequent sample is two zero bits.
			pos += 2
			at += int64(delta)
			t[n], v[n] = at, math.Float64frombits(value)
			n++
			continue
		}
		next, step := pos+1, delta
		switch {
		case w>>63 == 0:
			w <<= 1
		case w>>62 == 0b10:
			step += sign(w<<2>>50, 14)
			next, w = pos+16, w<<16
		case w>>61 == 0b110:
			step += sign(w<<3>>47, 17)
			next, w = pos+20, w<<20
		case w>>60 == 0b1110:
			step += sign(w<<4>>44, 20)
			next, w = pos+24, w<<24
		default:
			return it.leave(n, base+pos, at, value, delta, lead, trail)
		}
		l, tr, diff := lead, trail, uint64(0)
		if w>>63 == 0 {
			next++
		} else {
			if w>>62 == 0b10 {
				if l == noWindow {
					break
				}
				next += 2
			} else {
				size := uint(w << 7 >> 58)
				if size == 0 {
					size = 64
				}
				if l = uint(w << 2 >> 59); l+size > 64 {
					break
				}
				tr = 64 - l - size
				next += 13
			}
			p := b[next>>3:][:9]
			shift := next & 7
			bits := binary.BigEndian.Uint64(p)<<shift | uint64(p[8])>>(8-shift)
			size := 64 - l - tr
			diff = bits >> ((64 - size) & 63) << (tr & 63)
			next += size
		}
		if next > end {
			break
		}
		pos, delta, lead, trail = next, step, l, tr
		value ^= diff
		at += int64(delta)
		t[n], v[n] = at, math.Float64frombits(value)
		n++
	}
	return it.leave(n, base+pos, at, value, delta, lead, trail)
}

// leave puts the state behind n more samples back.
func (it *Iterator) leave(n int, pos uint, t int64, v, delta uint64, lead, trail uint) int {
	it.read += uint16(n)
	it.pos, it.t, it.v, it.delta, it.lead, it.trail = pos, t, v, delta, uint8(lead), uint8(trail)
	return n
}

// sign makes u of n bits a number. Those above 2^(n-1) are negative ones.
func sign(u uint64, n uint) uint64 {
	if u > 1<<(n-1) {
		u -= 1 << n
	}
	return u
}

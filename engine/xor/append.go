package xor

import (
	"encoding/binary"
	"math/bits"
)

// fastRoom is the number of bytes from the last partial byte on that lets Append store whole words: one
// word for the prefix, one word and a byte for the significant bits.
const fastRoom = 8 + 9

// Append adds a sample to the chunk in b that s describes. It returns false, with nothing changed, when b
// has no room for it or the chunk has reached 65535 bits.
//
// Bytes of b beyond s.Bits need not be zero; Append may overwrite them, and never touches anything
// beyond len(b).
func Append(b []byte, s *State, t int64, v uint64) bool {
	delta := uint64(t) - uint64(s.T)
	dod := int64(delta - s.Delta)
	if s.N < 2 {
		return appendSlow(b, s, t, v)
	}

	var u uint64 // the sample's bits, the last one at bit 0
	var n uint   // how many
	switch {
	case dod == 0:
		n = 1
	case inRange(dod, 14):
		u, n = 0b10<<14|uint64(dod)&(1<<14-1), 16
	case inRange(dod, 17):
		u, n = 0b110<<17|uint64(dod)&(1<<17-1), 20
	case inRange(dod, 20):
		u, n = 0b1110<<20|uint64(dod)&(1<<20-1), 24
	default:
		return appendSlow(b, s, t, v)
	}

	lead, trail := s.Lead, s.Trail
	x := v ^ s.V
	var sig uint64 // significant bits that do not fit into u
	var m uint     // how many
	if x == 0 {
		u <<= 1
		n++
	} else {
		prefix, prefixLen, l, tr := window(x, lead, trail)
		lead, trail = l, tr
		u = u<<(prefixLen&15) | prefix
		n += prefixLen
		sig, m = x>>(trail&63), uint(64-lead-trail)
		if n+m <= 64 {
			u = u<<(m&63) | sig
			n += m
			m = 0
		}
	}

	at, shift := int(s.Bits)>>3, uint(s.Bits)&7
	if uint(s.Bits)+n+m > maxBits {
		return false
	}
	if at+fastRoom <= len(b) {
		p := b[at:]
		putWord(p, shift, u, n)
		if m != 0 {
			// The prefix is at most 24+13 bits: it ends inside the first word whatever shift is.
			end := shift + n
			putWord(p[end>>3:], end&7, sig, m)
		}
	} else {
		// Small blocks are near their end half of the time.
		if shift+n+m > uint(len(b)-at)*8 {
			return false
		}
		putLast(b, at, shift, u, n)
		if m != 0 {
			end := shift + n
			putLast(b, at+int(end>>3), end&7, sig, m)
		}
	}
	s.T, s.V, s.Delta = t, v, delta
	s.Bits += uint16(n + m)
	s.N++
	s.Lead, s.Trail = lead, trail
	return true
}

// appendSlow takes every sample: the first two, and large jumps in time. It encodes into a scratch buffer and
// copies what was used.
func appendSlow(b []byte, s *State, t int64, v uint64) bool {
	var w writer
	w.pos = uint(s.Bits) & 7
	at := int(s.Bits) >> 3
	if w.pos != 0 {
		w.b[0] = b[at]
	}

	next := *s
	next.T, next.V = t, v
	switch s.N {
	case 0:
		w.uvarint(uint64(t)<<1 ^ uint64(t>>63))
		w.put(v, 64)
	case 1:
		next.Delta = uint64(t) - uint64(s.T)
		w.uvarint(next.Delta)
		w.value(&next, v^s.V)
	default:
		next.Delta = uint64(t) - uint64(s.T)
		w.dod(int64(next.Delta - s.Delta))
		w.value(&next, v^s.V)
	}

	used := at*8 + int(w.pos)
	if used > len(b)*8 || used > maxBits {
		return false
	}
	copy(b[at:], w.b[:(w.pos+7)/8])
	next.Bits = uint16(used)
	next.N++
	*s = next
	return true
}

// writer holds the bits of one sample, and room for putWord to store beyond them.
type writer struct {
	b   [1 + MaxSampleBytes + 9]byte
	pos uint
}

func (w *writer) put(u uint64, n uint) {
	putWord(w.b[w.pos>>3:], w.pos&7, u, n)
	w.pos += n
}

func (w *writer) uvarint(u uint64) {
	for u >= 0x80 {
		w.put(u&0x7f|0x80, 8)
		u >>= 7
	}
	w.put(u, 8)
}

func (w *writer) dod(d int64) {
	switch {
	case d == 0:
		w.put(0, 1)
	case inRange(d, 14):
		w.put(0b10<<14|uint64(d)&(1<<14-1), 16)
	case inRange(d, 17):
		w.put(0b110<<17|uint64(d)&(1<<17-1), 20)
	case inRange(d, 20):
		w.put(0b1110<<20|uint64(d)&(1<<20-1), 24)
	default:
		w.put(0b1111, 4)
		w.put(uint64(d), 64)
	}
}

func (w *writer) value(s *State, x uint64) {
	if x == 0 {
		w.put(0, 1)
		return
	}
	prefix, n, lead, trail := window(x, s.Lead, s.Trail)
	s.Lead, s.Trail = lead, trail
	w.put(prefix, n)
	w.put(x>>trail, uint(64-lead-trail))
}

// window finds how x, which is not 0, is written after a sample that left the window lead, trail: a
// prefix of n bits, and the window of the significant bits that follow it.
func window(x uint64, lead, trail uint8) (prefix uint64, n uint, l, t uint8) {
	l, t = uint8(bits.LeadingZeros64(x)), uint8(bits.TrailingZeros64(x))
	l = min(l, 31) // five bits
	if l >= lead && t >= trail {
		return 0b10, 2, lead, trail
	}
	return 0b11<<11 | uint64(l)<<6 | uint64(64-l-t)&63, 13, l, t
}

// inRange says whether d can be written in n bits. The range is not two's complement's: it is shifted up by
// one, which the decoder undoes.
func inRange(d int64, n uint) bool {
	return -(1<<(n-1)-1) <= d && d <= 1<<(n-1)
}

// putWord writes the low n bits of u, 1 to 64, to p from bit shift (0 to 7) of its first byte on, and
// zeros after them up to the end of p's ninth byte. Bits before shift stay.
func putWord(p []byte, shift uint, u uint64, n uint) {
	_ = p[8]
	top := u << ((64 - n) & 63)
	keep := uint64(p[0]&^(0xff>>(shift&7))) << 56
	binary.BigEndian.PutUint64(p, keep|top>>(shift&7))
	p[8] = byte(top << ((8 - shift) & 15))
}

// putLast is putWord where b may end right behind the bits: it stores no byte beyond theirs. It rewrites the
// eight bytes up to there, so there must be eight, as there are behind a chunk's first sample.
func putLast(b []byte, at int, shift uint, u uint64, n uint) {
	size := (shift + n + 7) >> 3
	if size > 8 {
		putWord(b[at:], shift, u, n)
		return
	}
	end := at + int(size)
	p := b[end-8 : end]
	keep := uint64(b[at]&^(0xff>>(shift&7))) << 56
	word := keep | u<<((64-n)&63)>>(shift&7)
	spare := (64 - 8*size) & 63
	old := binary.BigEndian.Uint64(p)
	binary.BigEndian.PutUint64(p, old&^(^uint64(0)>>spare)|word>>spare)
}

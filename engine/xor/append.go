package xor

import "math/bits"

// Append adds a sample to the chunk that s describes and that ends in b. It returns false, with nothing changed, when
// b has no room for it: then AppendAcross takes it.
func Append(b *Block, s *State, t int64, v uint64) bool {
	if s.N < 2 {
		return appendSlow(b, s, t, v)
	}
	delta := uint64(t) - uint64(s.T)
	dod := int64(delta - s.Delta)
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
	pos := linkBits + s.used()
	if x == 0 {
		u <<= 1
		n++
		if pos+n > lineBits {
			return false
		}
		b.put(pos, u<<(-n&63), n)
	} else {
		prefix, prefixLen, l, tr := window(x, lead, trail)
		lead, trail = l, tr
		u = u<<(prefixLen&15) | prefix
		n += prefixLen
		sig, m := x>>(trail&63), uint(64-lead-trail) // significant bits, and how many
		if pos+n+m > lineBits {
			return false
		}
		// They are put behind u, of at most 37 bits.
		if n+m <= 64 {
			b.put(pos, (u<<(m&63)|sig)<<(-(n+m)&63), n+m)
		} else {
			over := n + m - 64
			b.putLong(pos, u<<(-n&63)|sig>>(over&63), sig<<(-over&63), n+m)
		}
		n += m
	}
	s.T, s.V, s.Delta = t, v, delta
	s.Bits += uint16(n)
	s.N++
	s.Lead, s.Trail = lead, trail
	return true
}

// timeBits is how a change of the time's delta is written: the low n bits of u. n is 0 if it takes more than 24.
func timeBits(dod int64) (u uint64, n uint) {
	switch {
	case dod == 0:
		return 0, 1
	case inRange(dod, 14):
		return 0b10<<14 | uint64(dod)&(1<<14-1), 16
	case inRange(dod, 17):
		return 0b110<<17 | uint64(dod)&(1<<17-1), 20
	case inRange(dod, 20):
		return 0b1110<<20 | uint64(dod)&(1<<20-1), 24
	}
	return 0, 0
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

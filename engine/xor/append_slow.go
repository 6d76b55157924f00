package xor

import "encoding/binary"

// AppendAcross is Append for a sample that b has no room for: its beginning goes there, the rest to next, in which the
// chunk ends from now on. It returns false, with nothing changed, if the chunk has as many blocks as it can have.
func AppendAcross(b, next *Block, s *State, t int64, v uint64) bool {
	if s.Blocks() == maxBlocks {
		return false
	}
	var w writer
	after := w.sample(b, s, t, v)
	all := w.bytes()
	n := copy(b.Data[s.used()/8:], all)
	copy(next.Data[:], all[n:])
	*s = after
	return true
}

// appendSlow is Append for every sample: the first two, and large jumps in time.
func appendSlow(b *Block, s *State, t int64, v uint64) bool {
	var w writer
	after := w.sample(b, s, t, v)
	at, all := s.used()/8, w.bytes()
	if at+uint(len(all)) > BlockBytes {
		return false
	}
	copy(b.Data[at:], all)
	*s = after
	return true
}

// writer holds the bits of one sample, and room for put to store beyond them.
type writer struct {
	b   [1 + MaxSampleBytes + 9]byte
	pos uint
}

// sample writes a sample behind the bits in use of b's last byte, if it is in use in part, and returns the state behind
// it.
func (w *writer) sample(b *Block, s *State, t int64, v uint64) State {
	used := s.used()
	w.pos = used % 8
	if w.pos != 0 {
		w.b[0] = b.Data[used/8]
	}
	begin := w.pos
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
		w.time(int64(next.Delta - s.Delta))
		w.value(&next, v^s.V)
	}
	next.Bits += uint16(w.pos - begin)
	next.N++
	return next
}

func (w *writer) bytes() []byte { return w.b[:(w.pos+7)/8] }

// put writes the low n bits of u, 1 to 64, and zeros after them up to the end of the ninth byte.
func (w *writer) put(u uint64, n uint) {
	p, shift := w.b[w.pos/8:], w.pos%8
	_ = p[8]
	top := u << ((64 - n) & 63)
	keep := uint64(p[0]&^(0xff>>shift)) << 56
	binary.BigEndian.PutUint64(p, keep|top>>shift)
	p[8] = byte(top << ((8 - shift) & 15))
	w.pos += n
}

func (w *writer) uvarint(u uint64) {
	for u >= 0x80 {
		w.put(u&0x7f|0x80, 8)
		u >>= 7
	}
	w.put(u, 8)
}

func (w *writer) time(dod int64) {
	if u, n := timeBits(dod); n != 0 {
		w.put(u, n)
		return
	}
	w.put(0b1111, 4)
	w.put(uint64(dod), 64)
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

package xor

// Sample is a time and the bits of a value.
type Sample struct {
	T int64
	V uint64
}

// AppendRun adds samples to the chunk that s describes and that ends in b, and returns how many. It writes what Append
// writes, in less time: between two samples the appender's state, and the word of the block that is not full yet, stay
// in registers. It ends early at a sample that needs more care: one that b has no room for, the first two of a chunk,
// a large jump in time.
func AppendRun(b *Block, s *State, run []Sample) int {
	pos := linkBits + s.used()
	if s.N < 2 || pos == lineBits {
		return 0
	}
	var (
		begin       = pos
		at, value   = uint64(s.T), s.V
		delta       = s.Delta
		lead, trail = s.Lead, s.Trail
		word        = b.load(pos/wordBits) &^ (^uint64(0) >> (pos % wordBits))
		i           int
	)
	for i < len(run) {
		x := &run[i]
		step := uint64(x.T) - at
		dod := int64(step - delta)
		var u uint64
		n := uint(1)
		if dod != 0 {
			if u, n = timeBits(dod); n == 0 {
				break
			}
		}
		k, shift := pos/wordBits, pos%wordBits
		diff := x.V ^ value
		if diff == 0 {
			u <<= 1
			n++
		} else {
			prefix, prefixLen, l, tr := window(diff, lead, trail)
			u = u<<(prefixLen&15) | prefix
			n += prefixLen
			sig, m := diff>>(tr&63), uint(64-l-tr)
			if pos+n+m > lineBits {
				break
			}
			lead, trail = l, tr
			if n+m > 64 {
				over := n + m - 64
				top, more := u<<(-n&63)|sig>>(over&63), sig<<(-over&63)
				n += m
				b.store(k, word|top>>shift)
				word = top<<1<<(^shift&63) | more>>shift
				b.store(k+1, word)
				if shift+n >= 2*wordBits {
					word = more << 1 << (^shift & 63)
				}
				pos += n
				at, value, delta = uint64(x.T), x.V, step
				i++
				continue
			}
			u = u<<(m&63) | sig
			n += m
		}
		if pos+n > lineBits {
			break
		}
		// Whether the word is full is hard to foresee: it is stored in any case.
		top := u << (-n & 63)
		word |= top >> shift
		b.store(k, word)
		rest := top << 1 << (^shift & 63)
		if shift+n >= wordBits {
			word = rest
		}
		pos += n
		at, value, delta = uint64(x.T), x.V, step
		i++
	}
	if pos%wordBits > 0 {
		b.store(pos/wordBits, word)
	}
	s.T, s.V, s.Delta = int64(at), value, delta
	s.Bits += uint16(pos - begin)
	s.N += uint16(i)
	s.Lead, s.Trail = lead, trail
	return i
}

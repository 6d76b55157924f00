package xor

import (
	"encoding/binary"
	"errors"
)

var (
	// ErrTruncated says that a chunk holds fewer samples than its header counts: its end is missing.
	ErrTruncated = errors.New("xor: chunk ends inside a sample")
	// ErrCorrupt says that a chunk holds bits that no appender writes. It is damaged, or not an XOR chunk.
	ErrCorrupt = errors.New("xor: chunk is not a valid XOR encoding")
	// ErrTooLong says that a chunk is too long to be appended to (65535 bits).
	ErrTooLong = errors.New("xor: chunk is too long to append to")
)

// Iterator decodes the samples of a chunk. The zero value is an iterator over nothing. It allocates
// nothing and reads nothing outside the bytes it was given, whatever they are.
type Iterator struct {
	b     []byte
	pos   uint // next bit of b
	total uint16
	read  uint16

	t     int64
	v     uint64
	delta uint64
	lead  uint8
	trail uint8
	err   error
}

// Reset makes it an iterator over the finished chunk b, positioned before the first sample.
func (it *Iterator) Reset(b []byte) {
	*it = Iterator{b: b, pos: headerBytes * 8, lead: noWindow}
	if len(b) < headerBytes {
		it.err = ErrTruncated
		return
	}
	it.total = binary.BigEndian.Uint16(b)
}

// At returns the sample that the last Next found: its time and its value's bits.
func (it *Iterator) At() (int64, uint64) { return it.t, it.v }

// Err returns why Next ended before the last sample, nil if it did not.
func (it *Iterator) Err() error { return it.err }

// Next goes to the next sample. It returns false at the end and at the first fault.
func (it *Iterator) Next() bool {
	if it.read == it.total || it.err != nil {
		return false
	}
	switch it.read {
	case 0:
		u := it.uvarint()
		it.t = int64(u>>1) ^ -int64(u&1)
		it.v = it.bits(64)
	case 1:
		it.delta = it.uvarint()
		it.t += int64(it.delta)
		it.v ^= it.difference()
	default:
		if it.peek4() < 0b0100 && it.pos+2 <= uint(len(it.b))*8 {
			// Regular times, the same value: the most frequent sample is two zero bits.
			it.pos += 2
			it.t += int64(it.delta)
			break
		}
		it.delta += it.dod()
		it.t += int64(it.delta)
		it.v ^= it.difference()
	}
	if it.err != nil {
		return false
	}
	it.read++
	return true
}

// dod reads the change of the time's delta.
func (it *Iterator) dod() uint64 {
	switch ahead := it.peek4(); {
	case ahead < 0b1000:
		it.skip(1)
		return 0
	case ahead < 0b1100:
		return it.signed(2, 14)
	case ahead < 0b1110:
		return it.signed(3, 17)
	case ahead < 0b1111:
		return it.signed(4, 20)
	default:
		it.skip(4)
		return it.bits(64)
	}
}

// signed reads n bits behind a prefix. Numbers above 2^(n-1) are negative ones.
func (it *Iterator) signed(prefix, n uint) uint64 {
	u := it.bits(prefix+n) & (1<<n - 1)
	if u > 1<<(n-1) {
		u -= 1 << n
	}
	return u
}

// difference reads what to XOR the last value with.
func (it *Iterator) difference() uint64 {
	ahead := it.peek4()
	if ahead < 0b1000 {
		it.skip(1)
		return 0
	}
	if ahead < 0b1100 {
		if it.lead == noWindow {
			// chunkenc's resumed appender begins with a window of all 64 bits that it never wrote.
			it.lead, it.trail = 0, 0
		}
		it.skip(2)
		return it.bits(64-uint(it.lead)-uint(it.trail)) << it.trail
	}
	head := it.bits(13)
	lead, n := uint(head>>6)&31, uint(head)&63
	if n == 0 {
		n = 64
	}
	if lead+n > 64 {
		it.fail(ErrCorrupt)
		return 0
	}
	it.lead, it.trail = uint8(lead), uint8(64-lead-n)
	return it.bits(n) << it.trail
}

func (it *Iterator) uvarint() uint64 {
	var u uint64
	for shift := uint(0); shift < 64; shift += 7 {
		c := it.bits(8)
		if shift == 63 && c > 1 {
			break
		}
		u |= c & 0x7f << shift
		if c < 0x80 {
			return u
		}
	}
	it.fail(ErrCorrupt)
	return 0
}

// peek4 returns the next four bits, zeros where the chunk ends. Prefixes end with a zero or are read
// with what follows them, so what bits takes afterwards finds the end.
func (it *Iterator) peek4() uint {
	at := it.pos >> 3
	var u uint
	if at+1 < uint(len(it.b)) {
		u = uint(it.b[at])<<8 | uint(it.b[at+1])
	} else if at < uint(len(it.b)) {
		u = uint(it.b[at]) << 8
	}
	return u >> (12 - it.pos&7) & 15
}

func (it *Iterator) skip(n uint) {
	it.pos += n
	if it.pos > uint(len(it.b))*8 {
		it.fail(ErrTruncated)
	}
}

// bits reads n bits, 1 to 64. After the end it returns 0 and sets the error.
func (it *Iterator) bits(n uint) uint64 {
	at, shift := it.pos>>3, it.pos&7
	if at+9 <= uint(len(it.b)) {
		p := it.b[at : at+9]
		top := binary.BigEndian.Uint64(p)<<shift | uint64(p[8])>>(8-shift)
		it.pos += n
		return top >> ((64 - n) & 63)
	}
	if it.pos+n > uint(len(it.b))*8 {
		it.fail(ErrTruncated)
		return 0
	}
	var p [9]byte
	copy(p[:], it.b[at:])
	it.pos += n
	top := binary.BigEndian.Uint64(p[:])<<shift | uint64(p[8])>>(8-shift)
	return top >> ((64 - n) & 63)
}

func (it *Iterator) fail(err error) {
	if it.err == nil {
		it.err = err
	}
	it.pos = uint(len(it.b)) * 8
}

package xor

import (
	"encoding/binary"
	"unsafe"
)

const (
	headerBytes = 2

	// noWindow in State.Lead: no value has been written as a difference yet.
	noWindow = 0xff

	// A chunk has at most maxBlocks: State.Bits can count those. As a sample takes two bits or more, the header's
	// count of 16 bits is never reached.
	maxBlocks = (1<<16 - 1) / blockBits
	maxBits   = maxBlocks * blockBits

	// MaxSampleBytes is the most that one sample adds to a chunk: the second sample with a delta of ten
	// varint bytes (80 bits) and a value with a new window of 64 bits (2+5+6+64 bits). A buffer of
	// HeaderBytes plus this takes any first sample.
	MaxSampleBytes = (80 + 77 + 7) / 8

	// maxNextBits is the most that a sample behind the second takes: a delta of deltas of 68 bits, and a value of
	// 77. The first two together take up to firstTwoExtra bits more than two such.
	maxNextBits   = 68 + 77
	firstTwoExtra = (80 + 64) + (80 + 77) - 2*maxNextBits

	// HeaderBytes is what an empty chunk takes.
	HeaderBytes = headerBytes
)

// State is what an appender remembers between samples. It holds no pointers and is valid at any address:
// it lies inside a series record in mapped memory.
type State struct {
	T     int64  // last timestamp
	V     uint64 // last value's bits
	Delta uint64 // last difference of timestamps
	Bits  uint16 // bits used, header included
	N     uint16 // samples
	Lead  uint8  // window of significant bits: leading zeros, noWindow if there is none yet
	Trail uint8  // and trailing zeros
	_     [2]uint8
}

var _ [32]byte = [unsafe.Sizeof(State{})]byte{}

// Start makes s the state of an empty chunk of one block. The block's data needs no preparation.
func Start(s *State) {
	*s = State{Bits: headerBytes * 8, Lead: noWindow}
}

// Size is the number of bytes that the chunk takes now, header included.
func (s *State) Size() int { return (int(s.Bits) + 7) / 8 }

// Finish puts the sample count into b, to which the chunk's blocks were copied, and returns the part of b that is in
// use: exactly chunkenc.XORChunk.Bytes() of the same samples.
func Finish(b []byte, s *State) []byte {
	binary.BigEndian.PutUint16(b, s.N)
	n := s.Size()
	return b[:n:n]
}

// Valid reports whether s can be the state of a chunk: what Append relies on.
func (s *State) Valid() bool {
	return s.Bits >= headerBytes*8 && int(s.Bits) <= maxBitsOf(int(s.N)) && (s.Lead == noWindow || int(s.Lead)+int(s.Trail) < 64)
}

// maxBitsOf is the most bits that a chunk of so many samples takes.
func maxBitsOf(samples int) int {
	return min(maxBits, headerBytes*8+firstTwoExtra+samples*maxNextBits)
}

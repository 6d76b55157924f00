package xor

import (
	"encoding/binary"
	"unsafe"
)

const (
	// BlockBytes is how many bytes of a chunk a block holds.
	BlockBytes = 60

	blockBits = BlockBytes * 8
	// linkBits is where a block's data begins: behind the link.
	linkBits = 32
	wordBits = 64
	// lineBits is where a block ends.
	lineBits = linkBits + blockBits
)

// Block is a piece of an open chunk. It is a cache line, and lies in one: a multiple of 64 bytes from where memory
// begins, so that the words that the appender loads and stores lie in it too.
type Block struct {
	Prev uint32 // the block before this one, in its owner's terms; 0 if this is the chunk's first
	Data [BlockBytes]byte
}

var _ [64]byte = [unsafe.Sizeof(Block{})]byte{}

// load gives the i-th of a block's eight words. The first of them is the link and four bytes of data.
func (b *Block) load(i uint) uint64 {
	return binary.BigEndian.Uint64((*[8][8]byte)(unsafe.Pointer(b))[i&7][:])
}

func (b *Block) store(i uint, word uint64) {
	binary.BigEndian.PutUint64((*[8][8]byte)(unsafe.Pointer(b))[i&7][:], word)
}

// put writes n bits, the first of top, from bit pos of the block on, and zeros after them to the word's end. They must
// fit. Whether they go on in the next word is hard to foresee, so there is no branch: if they don't, the same word is
// stored again.
func (b *Block) put(pos uint, top uint64, n uint) {
	i, shift := pos/wordBits, pos%wordBits
	first := b.load(i)&^(^uint64(0)>>shift) | top>>shift
	end, last := (pos+n-1)/wordBits, top<<(-shift&63)
	if end == i {
		last = first
	}
	b.store(i, first)
	b.store(end, last)
}

// putLong is put for more than 64 bits, up to 128: those of top and the first of more.
func (b *Block) putLong(pos uint, top, more uint64, n uint) {
	i, shift := pos/wordBits, pos%wordBits
	b.store(i, b.load(i)&^(^uint64(0)>>shift)|top>>shift)
	second := top<<1<<(^shift&63) | more>>shift
	end, last := (pos+n-1)/wordBits, more<<(-shift&63)
	if end == i+1 {
		last = second
	}
	b.store(i+1, second)
	b.store(end, last)
}

// used is how many bits of the chunk's last block are in use: 1 to blockBits. A block that is full is the last one until a
// sample needs the next.
func (s *State) used() uint { return uint(s.Bits-1)%blockBits + 1 }

// Blocks is how many blocks the chunk takes.
func (s *State) Blocks() int { return (int(s.Bits) + blockBits - 1) / blockBits }

// MaxBlocks is how many blocks a chunk of so many samples, two or more, takes at most.
func MaxBlocks(samples int) int {
	s := State{Bits: uint16(maxBitsOf(samples))}
	return s.Blocks()
}

package faultfs

import (
	"bytes"
	"slices"
)

// blockSize is what a disk writes whole or not at all, and the unit of room.
const blockSize = 4096

// State of a block.
const (
	placed    uint8 = 1 << iota // it has a place on the disk: writing it needs no room
	dirty                       // written since the last Sync
	forgotten                   // was dirty when a Sync failed: the next one does not write it either
)

// contents is what is in a file: now, and after a power cut.
type contents struct {
	data   []byte  // now; zero from its length to its capacity
	blocks []uint8 // state of each block of data
	kept   []byte  // as the last Sync left it
	low    int64   // the least size since then

	region *region // holds data while the file is mapped
	maps   int     // live mappings
	mapped int64   // how far writable ones reach: stores there are found by comparing
}

func blocksOf(size int64) int64 { return (size + blockSize - 1) / blockSize }

// block returns block i of b, shorter at the end of b and empty behind it.
func block(b []byte, i int64) []byte {
	lo := min(i*blockSize, int64(len(b)))
	return b[lo:min(lo+blockSize, int64(len(b)))]
}

// same tells whether two blocks are equal when read with zeros behind their ends.
func same(a, b []byte) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return bytes.Equal(a, b[:len(a)]) && isZero(b[len(a):])
}

func isZero(b []byte) bool {
	return bytes.Equal(b, zeroBlock[:len(b)])
}

var zeroBlock [blockSize]byte

// resize sets the length of data; new bytes are zero and in no place.
func (c *contents) resize(size int64) {
	if old := int64(len(c.data)); size < old {
		clear(c.data[size:])
		c.data = c.data[:size]
		c.low = min(c.low, size)
	} else {
		if size > int64(cap(c.data)) {
			data := make([]byte, size, max(size, 2*old))
			copy(data, c.data)
			c.data = data
		}
		c.data = c.data[:size]
	}
	if n := int(blocksOf(size)); n < len(c.blocks) {
		c.blocks = c.blocks[:n]
	} else {
		c.blocks = append(c.blocks, make([]uint8, n-len(c.blocks))...)
	}
}

// touch marks the blocks of [lo, hi) as written.
func (c *contents) touch(lo, hi int64) {
	for i := lo / blockSize; i < blocksOf(hi); i++ {
		c.blocks[i] = c.blocks[i]&^forgotten | dirty
	}
}

// isPlaced also answers for blocks behind the end.
func (c *contents) isPlaced(i int64) bool {
	return i < int64(len(c.blocks)) && c.blocks[i]&placed != 0
}

// noteStores marks the blocks that were changed through a mapping. A store to a block whose Sync failed stays
// unseen, as it cannot be told from the store before.
func (c *contents) noteStores() {
	for i := range blocksOf(min(c.mapped, int64(len(c.data)))) {
		if c.blocks[i]&(dirty|forgotten) == 0 && !same(block(c.data, i), block(c.kept, i)) {
			c.blocks[i] |= dirty
		}
	}
}

// sync makes all that is not forgotten durable.
func (c *contents) sync() {
	c.noteStores()
	size := int64(len(c.data))
	if c.low < int64(len(c.kept)) {
		clear(c.kept[c.low:])
	}
	c.keepSize(size)
	c.keepBlocks(0, blocksOf(size))
	c.low = size
}

// syncRange makes the blocks of [off, off+size) durable and what size of the file they need.
func (c *contents) syncRange(off, size int64) {
	c.noteStores()
	end := min(off+size, int64(len(c.data)))
	c.keepSize(max(end, int64(len(c.kept))))
	c.keepBlocks(off/blockSize, blocksOf(end))
	c.low = max(c.low, end)
}

func (c *contents) keepSize(size int64) {
	if n := int64(len(c.kept)); size > n {
		c.kept = append(c.kept, make([]byte, size-n)...)
	}
	c.kept = c.kept[:size]
}

func (c *contents) keepBlocks(from, to int64) {
	for i := from; i < to; i++ {
		if c.blocks[i]&dirty == 0 {
			continue
		}
		c.blocks[i] &^= dirty
		old := block(c.kept, i)
		clear(old[copy(old, block(c.data, i)):])
	}
}

// failSync leaves what a failed Sync leaves: pages that the kernel takes for clean and the disk never got.
func (c *contents) failSync() {
	c.noteStores()
	for i, b := range c.blocks {
		if b&dirty != 0 {
			c.blocks[i] = b&^dirty | forgotten
		}
	}
}

func (c *contents) clone() contents {
	return contents{data: slices.Clone(c.data), blocks: slices.Clone(c.blocks), kept: slices.Clone(c.kept), low: c.low}
}

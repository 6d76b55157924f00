package faultfs

import (
	"math"

	"golang.org/x/sys/unix"
)

// room is the number of blocks that can still be put on the disk.
func (m *Mem) room() int64 {
	if m.capacity < 0 {
		return math.MaxInt64
	}
	return max(m.capacity-m.used, 0)
}

// put gives the blocks from up to to a place; there must be room.
func (m *Mem) put(n *node, from, to int64) {
	for i := from; i < to; i++ {
		if n.blocks[i]&placed == 0 {
			n.blocks[i] |= placed
			m.used++
		}
	}
}

// setSize changes the size of a file, with the places of what is cut off.
func (m *Mem) setSize(n *node, size int64) error {
	if n.region != nil && size > int64(cap(n.data)) {
		return unix.EFBIG
	}
	m.free(n, blocksOf(size))
	n.resize(size)
	return nil
}

// free gives back the places of the blocks from a number on.
func (m *Mem) free(n *node, from int64) {
	for i := from; i < int64(len(n.blocks)); i++ {
		if n.blocks[i]&placed != 0 {
			n.blocks[i] &^= placed
			m.used--
		}
	}
}

// release frees the blocks of a file that nobody can reach any more. What state they are in stays known: a power
// cut may bring the file back.
func (m *Mem) release(n *node) {
	if n.names == nil && n.links == 0 && n.opens == 0 && n.maps == 0 {
		m.used -= n.places()
	}
}

// places is the number of blocks of the file on the disk.
func (c *contents) places() (count int64) {
	for _, b := range c.blocks {
		if b&placed != 0 {
			count++
		}
	}
	return count
}

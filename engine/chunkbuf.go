package engine

import (
	"slices"
	"sync"
)

// chunkBuf is closed chunks on their way to a file, in blocks: when a block range ends, all series of a stripe close a
// chunk within one scrape, and one large buffer would be moved again and again under the stripe's lock. A chunk does
// not reach across blocks.
type chunkBuf []chunkBlock

// chunkBlock is the bytes from off on.
type chunkBlock struct {
	off  int
	data []byte
}

// chunkBlockSize is what a block takes, except one whose only chunk is larger. Blocks go from stripe to stripe.
const chunkBlockSize = 64 << 10

var chunkBlocks = sync.Pool{New: func() any { return new([chunkBlockSize]byte) }}

func (b chunkBuf) size() int {
	if len(b) == 0 {
		return 0
	}
	last := b[len(b)-1]
	return last.off + len(last.data)
}

// room returns the block that has room for n bytes more.
func (b *chunkBuf) room(n int) *chunkBlock {
	if last := len(*b) - 1; last >= 0 && cap((*b)[last].data)-len((*b)[last].data) >= n {
		return &(*b)[last]
	}
	x := chunkBlock{off: b.size()}
	if n <= chunkBlockSize {
		x.data = chunkBlocks.Get().(*[chunkBlockSize]byte)[:0]
	} else {
		x.data = make([]byte, 0, n)
	}
	*b = append(*b, x)
	return &(*b)[len(*b)-1]
}

// from returns the bytes from off on that lie together. There must be some.
func (b chunkBuf) from(off int) []byte {
	i, ok := slices.BinarySearchFunc(b, off, func(x chunkBlock, off int) int { return x.off - off })
	if !ok {
		i--
	}
	return b[i].data[off-b[i].off:]
}

// free gives the blocks back. Nobody may look at them any more.
func (b chunkBuf) free() {
	for _, x := range b {
		if cap(x.data) == chunkBlockSize {
			chunkBlocks.Put((*[chunkBlockSize]byte)(x.data[:chunkBlockSize]))
		}
	}
}

package overlay

import (
	"io"
	"sync"

	"github.com/rekindledb/rekindle/arena/disk"
)

// blockSize is the unit in which changed bytes are kept. Repairs are small and what is appended is written in
// pieces of some hundred KiB.
const blockSize = 64 << 10

// contents are a file's bytes: those of the file below, up to below, with the changed blocks over them. Several
// names can share them.
type contents struct {
	fs   disk.FS
	path string // in fs; "" for a file that was made here
	was  int64  // size of the file below

	mu     sync.Mutex
	file   disk.File // open while handles need it
	open   int       // handles
	size   int64
	below  int64 // bytes that come from the file below; what was cut off once does not come back
	blocks map[int64][]byte
}

// acquire opens the file below for one more handle.
func (c *contents) acquire() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == 0 && c.path != "" {
		f, err := c.fs.Open(c.path)
		if err != nil {
			return err
		}
		c.file = f
	}
	c.open++
	return nil
}

func (c *contents) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.open > 0 || c.file == nil {
		return nil
	}
	f := c.file
	c.file = nil
	return f.Close()
}

// readAt fills b from off on. mu is held.
func (c *contents) readAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) && off < c.size {
		in := off % blockSize
		piece := b[n:][:min(int64(len(b)-n), blockSize-in, c.size-off)]
		if block := c.blocks[off/blockSize]; block != nil {
			copy(piece, block[in:])
		} else if err := c.readBelow(piece, off); err != nil {
			return n, err
		}
		n += len(piece)
		off += int64(len(piece))
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// readBelow fills b with what the file below has, and zeros behind that.
func (c *contents) readBelow(b []byte, off int64) error {
	have := b[:max(0, min(int64(len(b)), c.below-off))]
	clear(b[len(have):])
	if len(have) == 0 {
		return nil
	}
	n, err := c.file.ReadAt(have, off)
	if n == len(have) {
		return nil
	}
	if err == io.EOF { // it was longer when it was first looked at
		err = io.ErrUnexpectedEOF
	}
	return err
}

// writeAt is a write. mu is held.
func (c *contents) writeAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) {
		i, in := off/blockSize, off%blockSize
		block := c.blocks[i]
		if block == nil {
			block = make([]byte, blockSize)
			if err := c.readBelow(block, i*blockSize); err != nil {
				return n, err
			}
			if c.blocks == nil {
				c.blocks = map[int64][]byte{}
			}
			c.blocks[i] = block
		}
		k := copy(block[in:], b[n:])
		n += k
		off += int64(k)
		c.size = max(c.size, off)
	}
	return n, nil
}

// truncate sets the size. mu is held.
func (c *contents) truncate(size int64) {
	if size < c.size {
		c.below = min(c.below, size)
		for i, block := range c.blocks {
			switch {
			case i*blockSize >= size:
				delete(c.blocks, i)
			case (i+1)*blockSize > size:
				clear(block[size-i*blockSize:])
			}
		}
	}
	c.size = size
}

package grpcsrv

import "sync"

// bufferPool is the memory of messages on their way in and out.
//
// grpc-go's own pool clears every buffer that it hands out, and the one for a push of 500 series has a megabyte. It
// also asks for 32 KiB at a time when it decompresses, and uses all that it gets: given 256 KiB, nearly every push lies
// in one buffer and need not be copied together.
type bufferPool struct {
	pools [len(bufferSizes)]sync.Pool // of *[]byte
}

// bufferSizes: small messages, a frame of HTTP/2, a push or a batch of a stream, large pushes.
var bufferSizes = [...]int{4 << 10, 16 << 10, 256 << 10, 2 << 20}

var buffers = new(bufferPool)

// Get implements mem.BufferPool. What is in the buffer is what was there before.
func (p *bufferPool) Get(n int) *[]byte {
	for i, size := range bufferSizes {
		if n <= size {
			b, ok := p.pools[i].Get().(*[]byte)
			if !ok {
				b = new([]byte)
				*b = make([]byte, size)
			}
			*b = (*b)[:n]
			return b
		}
	}
	b := make([]byte, n)
	return &b
}

// Put implements mem.BufferPool. Buffers above twice the greatest size are left to the garbage collector.
func (p *bufferPool) Put(b *[]byte) {
	n := cap(*b)
	if n > 2*bufferSizes[len(bufferSizes)-1] {
		return
	}
	for i := len(bufferSizes) - 1; i >= 0; i-- {
		if n >= bufferSizes[i] {
			p.pools[i].Put(b)
			return
		}
	}
}

package grpcsrv

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/s2"
	"google.golang.org/grpc/encoding"
)

// SnappyBlock is the compression that Cortex's distributors use unless told otherwise: a message is one Snappy block.
const SnappyBlock = "snappy-block"

func init() { encoding.RegisterCompressor(snappyBlock{}) }

// decompressedMax is the most bytes that a compressed message may declare.
var decompressedMax atomic.Int64

// SetMaxMessageSize tells the compressors, which gRPC knows one of in a process, the -server.grpc-max-recv-msg-size-bytes:
// before memory is taken for a block it must say that it holds no more. Until it is called that is 100 MiB.
func SetMaxMessageSize(n int) { decompressedMax.Store(int64(n)) }

func init() { SetMaxMessageSize(100 << 20) }

// blockExpansionMost is how many bytes a byte of a Snappy block can stand for: the densest element, 3 bytes, stands for 64.
const blockExpansionMost = 22

type snappyBlock struct{}

func (snappyBlock) Name() string { return SnappyBlock }

var (
	blockReaders = sync.Pool{New: func() any { return new(blockReader) }}
	blockWriters = sync.Pool{New: func() any { return new(blockWriter) }}
)

// Decompress implements encoding.Compressor.
func (snappyBlock) Decompress(r io.Reader) (io.Reader, error) {
	b := blockReaders.Get().(*blockReader)
	if err := b.reset(r); err != nil {
		_ = b.Close() // returns nil
		return nil, err
	}
	return b, nil
}

// blockReader is the bytes of a block. They are decoded into the first buffer that it is read into, if that has room for
// all of them, so that nothing is copied.
type blockReader struct {
	compressed []byte
	size       int
	decoded    []byte // what has not been read yet of a block that did not fit
	begun      bool
}

func (b *blockReader) reset(r io.Reader) (err error) {
	b.begun, b.decoded = false, nil
	if b.compressed, err = appendAll(b.compressed[:0], r); err != nil {
		return err
	}
	if b.size, err = s2.DecodedLen(b.compressed); err != nil {
		return err
	}
	if most := decompressedMax.Load(); int64(b.size) > most {
		return fmt.Errorf("a block of %d bytes is larger than max (%d)", b.size, most)
	}
	if b.size > len(b.compressed)*blockExpansionMost {
		return fmt.Errorf("%d bytes cannot hold the %d that they declare", len(b.compressed), b.size)
	}
	return nil
}

func (b *blockReader) Read(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		if b.size <= len(p) {
			d, err := s2.Decode(p, b.compressed)
			return len(d), err
		}
		d, err := s2.Decode(nil, b.compressed)
		if err != nil {
			return 0, err
		}
		b.decoded = d
	}
	if len(b.decoded) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.decoded)
	b.decoded = b.decoded[n:]
	return n, nil
}

// Close implements io.Closer, for grpc-go to give the reader back.
func (b *blockReader) Close() error {
	b.decoded = nil
	if cap(b.compressed) <= requestKeepMax {
		blockReaders.Put(b)
	}
	return nil
}

// Compress implements encoding.Compressor.
func (snappyBlock) Compress(w io.Writer) (io.WriteCloser, error) {
	b := blockWriters.Get().(*blockWriter)
	b.to, b.plain = w, b.plain[:0]
	return b, nil
}

// blockWriter collects a message and encodes it when it is closed.
type blockWriter struct {
	to                io.Writer
	plain, compressed []byte
}

func (b *blockWriter) Write(p []byte) (int, error) {
	b.plain = append(b.plain, p...)
	return len(p), nil
}

func (b *blockWriter) Close() error {
	b.compressed = s2.EncodeSnappy(b.compressed[:cap(b.compressed)], b.plain)
	_, err := b.to.Write(b.compressed)
	b.to = nil
	if cap(b.plain) <= requestKeepMax {
		blockWriters.Put(b)
	}
	return err
}

// appendAll appends what r holds to dst.
func appendAll(dst []byte, r io.Reader) ([]byte, error) {
	if l, ok := r.(interface{ Remaining() int }); ok { // grpc-go's readers know
		n := len(dst) + l.Remaining()
		if cap(dst) < n {
			dst = append(make([]byte, 0, n+n/4), dst...)
		}
		for len(dst) < n {
			m, err := r.Read(dst[len(dst):n])
			dst = dst[:len(dst)+m]
			if err != nil && !errors.Is(err, io.EOF) || m == 0 {
				return dst, err
			}
		}
		return dst, nil
	}
	rest, err := io.ReadAll(r)
	return append(dst, rest...), err
}

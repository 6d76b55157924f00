package grpcsrv

import (
	"io"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // registers gzip
)

// Compressions that read and write streams: framed Snappy, S2 and zstd.
func init() {
	register("snappy",
		func() reader { return s2.NewReader(nil, s2.ReaderMaxBlockSize(64<<10)) },
		func() writer {
			return s2.NewWriter(nil, s2.WriterSnappyCompat(), s2.WriterConcurrency(1), s2.WriterBlockSize(64<<10))
		})
	register("s2",
		func() reader { return s2.NewReader(nil, s2.ReaderMaxBlockSize(4<<20)) },
		func() writer { return s2.NewWriter(nil, s2.WriterConcurrency(1), s2.WriterBlockSize(64<<10)) })
	register("zstd",
		func() reader {
			// Windows above this limit are refused before they are allocated. Senders make at most 8 MiB.
			d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(16<<20))
			if err != nil {
				panic(err) // only for options that are out of range
			}
			return zstdReader{d}
		},
		func() writer {
			e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
			if err != nil {
				panic(err)
			}
			return e
		})
}

type reader interface {
	io.Reader
	Reset(io.Reader)
}

type writer interface {
	io.WriteCloser
	Reset(io.Writer)
}

// zstdReader has no error from Reset, which only a decoder that was closed gives.
type zstdReader struct{ *zstd.Decoder }

func (z zstdReader) Reset(r io.Reader) { _ = z.Decoder.Reset(r) }

// streamCompressor is a compression whose readers and writers are kept for the next message.
type streamCompressor struct {
	name             string
	readers, writers sync.Pool
}

func register(name string, newReader func() reader, newWriter func() writer) {
	c := &streamCompressor{name: name}
	c.readers.New = func() any { return newReader() }
	c.writers.New = func() any { return newWriter() }
	encoding.RegisterCompressor(c)
}

// Name implements encoding.Compressor.
func (c *streamCompressor) Name() string { return c.name }

// Decompress implements encoding.Compressor. grpc-go reads no more than the largest message that it takes, and closes what
// it gets.
func (c *streamCompressor) Decompress(r io.Reader) (io.Reader, error) {
	z := c.readers.Get().(reader)
	z.Reset(r)
	return &pooledReader{z, c}, nil
}

type pooledReader struct {
	reader
	c *streamCompressor
}

// Close implements io.Closer.
func (p *pooledReader) Close() error {
	p.Reset(nil) // keeps nothing of the message
	p.c.readers.Put(p.reader)
	return nil
}

// Compress implements encoding.Compressor.
func (c *streamCompressor) Compress(w io.Writer) (io.WriteCloser, error) {
	z := c.writers.Get().(writer)
	z.Reset(w)
	return &pooledWriter{z, c}, nil
}

type pooledWriter struct {
	writer
	c *streamCompressor
}

// Close implements io.Closer.
func (p *pooledWriter) Close() error {
	err := p.writer.Close()
	p.Reset(nil)
	p.c.writers.Put(p.writer)
	return err
}

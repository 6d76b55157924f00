package grpcsrv

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
)

func compressed(t testing.TB, name string, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := encoding.GetCompressor(name).Compress(&out)
	require.NoError(t, err)
	for part := range slices.Chunk(plain, 10_000) { // in several writes, as grpc-go does
		_, err = w.Write(part)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func decompressed(name string, in io.Reader) ([]byte, error) {
	r, err := encoding.GetCompressor(name).Decompress(in)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, 10<<20))
	if c, ok := r.(io.Closer); ok {
		_ = c.Close()
	}
	return b, err
}

// Every compression gives back what was put in, of any size, many times over with the same readers and writers; and what
// the libraries that Cortex uses make of it is the same.
func TestCompressions(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 100, 5000, 300 << 10} {
		plain := make([]byte, size)
		for i := range plain {
			plain[i] = byte(rng.IntN(4))
		}
		for _, name := range []string{SnappyBlock, "snappy", "gzip", "zstd", "s2"} {
			for range 3 {
				z := compressed(t, name, plain)
				back, err := decompressed(name, bytes.NewReader(z))
				require.NoError(t, err, name)
				require.True(t, bytes.Equal(plain, back), "%s of %d bytes", name, size)
			}
		}
		block, err := snappy.Decode(nil, compressed(t, SnappyBlock, plain))
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, block))
		framed, err := io.ReadAll(snappy.NewReader(bytes.NewReader(compressed(t, "snappy", plain))))
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, framed))
		d, err := zstd.NewReader(nil)
		require.NoError(t, err)
		all, err := d.DecodeAll(compressed(t, "zstd", plain), nil)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, all))
		d.Close()

		back, err := decompressed(SnappyBlock, bytes.NewReader(snappy.Encode(nil, plain)))
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, back))
	}
}

// A message that is cut short, damaged, or says that it is larger than it can be fails, without memory for what it only
// says; a small one that really is huge fails when it passes the limit. Good messages pass afterwards.
func TestHostileCompression(t *testing.T) {
	h := newHarness(t, nil, grpc.MaxRecvMsgSize(1<<20))
	good := writeRequest(t, 100, 1000)
	for _, name := range []string{SnappyBlock, "snappy", "gzip", "zstd", "s2"} {
		z := compressed(t, name, good)
		_, err := decompressed(name, bytes.NewReader(z[:len(z)/2]))
		require.Error(t, err, name)
		_, err = decompressed(name, strings.NewReader("no such thing"))
		require.Error(t, err, name)

		_, err = h.call(as("one"), "Push", make([]byte, 8<<20), grpc.UseCompressor(name))
		requireStatus(t, err, codes.ResourceExhausted, "grpc: received message after decompression larger than max 1048576")
		h.push(t, as("one"), good, grpc.UseCompressor(name))
	}
	claim := append(binary.AppendUvarint(nil, 1<<31), 0, 'x')
	_, err := decompressed(SnappyBlock, bytes.NewReader(claim))
	require.ErrorContains(t, err, "larger than max")
	claim = append(binary.AppendUvarint(nil, 1<<20), 0, 'x')
	_, err = decompressed(SnappyBlock, bytes.NewReader(claim))
	require.ErrorContains(t, err, "cannot hold")
	_, err = h.call(as("one"), "Push", good, grpc.UseCompressor("lz4"))
	require.Error(t, err)
}

package bench

import (
	"encoding/binary"
	"math/bits"
)

// The little of protobuf's encoding that remote write needs.

// sizeVarint is the length of n as a varint.
func sizeVarint(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }

// sizeField is the length of a field that holds size bytes and whose number is below 16.
func sizeField(size int) int { return 1 + sizeVarint(uint64(size)) + size }

func appendSize(dst []byte, size int) []byte { return binary.AppendUvarint(dst, uint64(size)) }

func appendBytesField[T string | []byte](dst []byte, tag byte, value T) []byte {
	dst = appendSize(append(dst, tag), len(value))
	return append(dst, value...)
}

// sizeSample is the length of a sample's message. The fields are the same in remote write 1.0 and 2.0.
func sizeSample(t int64) int { return 1 + 8 + 1 + sizeVarint(uint64(t)) }

func appendSample(dst []byte, tag byte, t int64, v uint64) []byte {
	dst = appendSize(append(dst, tag), sizeSample(t))
	dst = binary.LittleEndian.AppendUint64(append(dst, 0x09), v)
	return binary.AppendUvarint(append(dst, 0x10), uint64(t))
}

package walio

import (
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFragments appends rec, cut into fragments, to dst. dst will be written at offset off of a
// segment; flags say how rec is compressed.
func appendFragments(dst []byte, off int64, rec []byte, flags byte) []byte {
	from := len(dst)
	for first := true; first || len(rec) > 0; first = false {
		left := pageSize - int((off+int64(len(dst)-from))%pageSize)
		if left < fragmentHeaderSize {
			dst = append(dst, zeros[:left]...)
			left = pageSize
		}
		n := min(len(rec), left-fragmentHeaderSize)
		dst = appendFragment(dst, rec[:n], flags|fragmentType(first, n == len(rec)))
		rec = rec[n:]
	}
	return dst
}

var zeros [fragmentHeaderSize]byte

func fragmentType(first, last bool) byte {
	switch {
	case first && last:
		return fragmentFull
	case first:
		return fragmentFirst
	case last:
		return fragmentLast
	}
	return fragmentMiddle
}

func appendFragment(dst, data []byte, typ byte) []byte {
	dst = append(dst, typ)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(data, castagnoli))
	return append(dst, data...)
}

// framedSizeMax is the most that records of n bytes in count records take in a segment.
func framedSizeMax(n, count int) int {
	pages := n/(pageSize-2*fragmentHeaderSize) + 2
	return n + (count+pages)*2*fragmentHeaderSize
}

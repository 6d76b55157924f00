package ckpt

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Both formats begin alike, in this and every later layout:
//
//	0        8        12           16         24       28
//	+--------+--------+------------+----------+--------+----
//	| magic  | layout | byte order | features | length | ...
//	+--------+--------+------------+----------+--------+----
//
// and end, at length, with xxhash64 of everything before. So a newer layout is told from a damaged one by its
// checksum, without knowing it.
const (
	preambleSize = 28
	checksumSize = 8

	// byteOrder is written in the machine's own order: integers of the formats are little-endian, but the
	// extents hold the memory of the machine that wrote them.
	byteOrder = 0x01020304

	// knownFeatures are the features that this program can read: none yet.
	knownFeatures = 0
)

// appendPreamble begins a header of size bytes.
func appendPreamble(b []byte, magic string, layout uint32, size int) []byte {
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, layout)
	b = binary.NativeEndian.AppendUint32(b, byteOrder)
	b = binary.LittleEndian.AppendUint64(b, knownFeatures)
	return binary.LittleEndian.AppendUint32(b, uint32(size))
}

// checkPreamble looks at magic, length, checksum, layout, byte order and features, in this order, and returns
// the length. least bounds it below for this layout, len(b) above.
func checkPreamble(name string, b []byte, magic string, layout uint32, what string, least int) (int, error) {
	le := binary.LittleEndian
	bad := func(field string, off int, want, got uint64) *CorruptError {
		return &CorruptError{File: name, Offset: int64(off), What: what + ": " + field, Want: want, Got: got}
	}
	if len(b) < preambleSize+checksumSize {
		return 0, bad("size", len(b), uint64(least), uint64(len(b)))
	}
	if string(b[:8]) != magic {
		err := bad("magic", 0, le.Uint64([]byte(magic)), le.Uint64(b))
		err.Unfinished = allZero(b[:8])
		return 0, err
	}
	n := int(le.Uint32(b[24:]))
	if n < preambleSize+checksumSize || n > len(b) {
		return 0, bad("length", 24, uint64(len(b)), uint64(n))
	}
	want := le.Uint64(b[n-checksumSize:])
	if sum := xxhash.Sum64(b[:n-checksumSize]); sum != want {
		return 0, bad("checksum", 0, want, sum)
	}
	got, order, features := le.Uint32(b[8:]), binary.NativeEndian.Uint32(b[12:]), le.Uint64(b[16:])
	switch {
	case got > layout:
		return 0, &VersionError{File: name, Layout: got, Known: layout}
	case got == 0:
		return 0, bad("layout", 8, uint64(layout), 0)
	case order != byteOrder:
		return 0, bad("byte order", 12, byteOrder, uint64(order))
	case features&^knownFeatures != 0:
		return 0, &VersionError{File: name, Layout: got, Known: layout, Features: features &^ knownFeatures}
	case n < least:
		return 0, bad("length", 24, uint64(least), uint64(n))
	}
	return n, nil
}

// reader takes little-endian integers off the front of bytes whose length was checked before.
type reader struct {
	b   []byte
	pos int
}

func (r *reader) u32() uint32 {
	r.pos += 4
	return binary.LittleEndian.Uint32(r.b[r.pos-4:])
}

func (r *reader) u64() uint64 {
	r.pos += 8
	return binary.LittleEndian.Uint64(r.b[r.pos-8:])
}

// rest returns what is left up to end, and goes there.
func (r *reader) rest(end int) []byte {
	b := r.b[r.pos:end]
	r.pos = end
	return b
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

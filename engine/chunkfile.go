package engine

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
)

// Chunk files hold closed chunks. A stripe has one a block range and writer: append-only in fact, so that an
// image's links stay true whatever a later start does. After every recovery a stripe writes to a new file.
//
// Name: chunks/<stripe, 2 digits>-<id, 6 digits>; ids of a stripe ascend and are never used twice.
// Little-endian. Everything begins at a multiple of 8.
//
//	0        8      12      16           24        32       36      40        48    60    64
//	+--------+------+-------+------------+---------+--------+-------+---------+-----+-----+
//	| magic  |layout|stripe | generation | range   | file id|feature| zero    | ... | crc |    file header
//	+--------+------+-------+------------+---------+--------+-------+---------+-----+-----+
//
//	0     4      6    7       8       16      24      32      40
//	+-----+------+----+-------+-------+-------+-------+-------+-----------+
//	| crc | size | enc| flags | ref   | minT  | maxT  | prev  | data, pad |    chunk, repeated
//	+-----+------+----+-------+-------+-------+-------+-------+-----------+
//
//	range   number of the 2 h range that all chunks' samples are in
//	crc     CRC-32C of everything behind it, up to the end of the header or of the data
//	enc     chunkenc's encoding byte        flags  bit 0: out-of-order chunk
//	ref     the series                      prev   link of the series' chunk before this one, 0 = none
//	size    bytes of data; 0 means that nothing was written here (files are allocated ahead of need)
//
// How much of a file is valid is said by the image that names it.
const (
	chunkMagic  = 0x6b6e686372646e6b // "kndrchnk"
	chunkLayout = 1

	fileHeadSize  = 64
	chunkHeadSize = 40
	chunkAlign    = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunkHead is a chunk's header without size and checksum.
type chunkHead struct {
	ref        uint64
	minT, maxT int64
	prev       link
	encoding   uint8
	flags      uint8
}

func (h chunkHead) isOf(ref uint64) error {
	if h.ref != ref {
		return fmt.Errorf("chunk belongs to series %d, not %d", h.ref, ref)
	}
	return nil
}

// fileHead is a chunk file's header.
type fileHead struct {
	stripe     uint32
	generation uint64
	rng        int64
	id         uint32
}

func chunkFileName(stripe int, id uint32) string { return fmt.Sprintf("%02d-%06d", stripe, id) }

// parseChunkFileName is the inverse of chunkFileName.
func parseChunkFileName(name string) (stripe int, id uint32, ok bool) {
	if len(name) < 9 || name[2] != '-' {
		return 0, 0, false
	}
	s, err1 := strconv.ParseUint(name[:2], 10, 8)
	i, err2 := strconv.ParseUint(name[3:], 10, 24)
	return int(s), uint32(i), err1 == nil && err2 == nil
}

func (h fileHead) append(dst []byte) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, chunkMagic)
	dst = binary.LittleEndian.AppendUint32(dst, chunkLayout)
	dst = binary.LittleEndian.AppendUint32(dst, h.stripe)
	dst = binary.LittleEndian.AppendUint64(dst, h.generation)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.rng))
	dst = binary.LittleEndian.AppendUint32(dst, h.id)
	dst = append(dst, make([]byte, fileHeadSize-4-(len(dst)-at))...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[at:], castagnoli))
}

func parseFileHead(b []byte) (h fileHead, err error) {
	switch {
	case len(b) < fileHeadSize:
		return h, fmt.Errorf("chunk file header: %d bytes, want %d", len(b), fileHeadSize)
	case binary.LittleEndian.Uint64(b) != chunkMagic:
		return h, fmt.Errorf("chunk file header: magic %#x, want %#x", binary.LittleEndian.Uint64(b), uint64(chunkMagic))
	case crc32.Checksum(b[:fileHeadSize-4], castagnoli) != binary.LittleEndian.Uint32(b[fileHeadSize-4:]):
		return h, fmt.Errorf("chunk file header: bad checksum")
	case binary.LittleEndian.Uint32(b[8:]) > chunkLayout:
		return h, fmt.Errorf("chunk file header: layout %d was %w; this one knows %d", binary.LittleEndian.Uint32(b[8:]), errNewerChunks, chunkLayout)
	case binary.LittleEndian.Uint32(b[36:]) != 0:
		return h, fmt.Errorf("chunk file header: it needs features %#x: %w", binary.LittleEndian.Uint32(b[36:]), errNewerChunks)
	}
	return fileHead{
		stripe: binary.LittleEndian.Uint32(b[12:]), generation: binary.LittleEndian.Uint64(b[16:]),
		rng: int64(binary.LittleEndian.Uint64(b[24:])), id: binary.LittleEndian.Uint32(b[32:]),
	}, nil
}

// chunkSize is what a chunk of so many bytes takes in a file.
func chunkSize(data int) int {
	return (chunkHeadSize + data + chunkAlign - 1) / chunkAlign * chunkAlign
}

// appendChunk appends a chunk with its header, padded.
func appendChunk(dst []byte, h chunkHead, data []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(data)))
	dst = append(dst, h.encoding, h.flags)
	dst = binary.LittleEndian.AppendUint64(dst, h.ref)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.minT))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.maxT))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.prev))
	dst = append(dst, data...)
	binary.LittleEndian.PutUint32(dst[at:], crc32.Checksum(dst[at+4:], castagnoli))
	for len(dst)%chunkAlign != 0 {
		dst = append(dst, 0)
	}
	return dst
}

// parseChunk reads the chunk at the beginning of b. data points into b.
func parseChunk(b []byte) (h chunkHead, data []byte, err error) {
	if len(b) < chunkHeadSize {
		return h, nil, fmt.Errorf("chunk header: %d bytes, want %d", len(b), chunkHeadSize)
	}
	end := chunkHeadSize + int(binary.LittleEndian.Uint16(b[4:]))
	if end == chunkHeadSize || end > len(b) {
		return h, nil, fmt.Errorf("chunk header: size %d with %d bytes left", end-chunkHeadSize, len(b)-chunkHeadSize)
	}
	if got, want := crc32.Checksum(b[4:end], castagnoli), binary.LittleEndian.Uint32(b); got != want {
		return h, nil, fmt.Errorf("chunk: checksum %#x, want %#x", got, want)
	}
	h = chunkHead{
		encoding: b[6], flags: b[7],
		ref:  binary.LittleEndian.Uint64(b[8:]),
		minT: int64(binary.LittleEndian.Uint64(b[16:])), maxT: int64(binary.LittleEndian.Uint64(b[24:])),
		prev: link(binary.LittleEndian.Uint64(b[32:])),
	}
	return h, b[chunkHeadSize:end:end], nil
}

// checkChunks checks the chunks that stand one behind the other in b, behind the file's header if head is set.
func checkChunks(b []byte, head bool) error {
	if head {
		if _, err := parseFileHead(b); err != nil {
			return err
		}
		b = b[fileHeadSize:]
	}
	for len(b) > 0 {
		_, data, err := parseChunk(b)
		if err != nil {
			return err
		}
		b = b[min(chunkSize(len(data)), len(b)):]
	}
	return nil
}

// firstTime is the timestamp of an XOR chunk's first sample.
func firstTime(data []byte) int64 {
	t, _ := binary.Varint(data[2:])
	return t
}

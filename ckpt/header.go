package ckpt

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// The slot's file, as drawn in doc.go.
const (
	slotMagic  = "rekimage"
	slotLayout = 1

	dataOffset = 64 << 10
	tableAlign = ExtentSize

	headerFixed   = 192 // up to the list of chunk files
	headerChunk   = 16  // an entry of the list
	headerMin     = headerFixed + checksumSize
	maxChunkFiles = (dataOffset - headerMin) / headerChunk

	hashSize = 8 // an extent's entry in the table

	// maxExtents is what an arena can hold: 32 GiB.
	maxExtents = 32 << 30 / ExtentSize
)

// header is a slot's header, decoded.
type header struct {
	generation uint64
	tenant     uint64 // xxhash64 of the name
	stripe     uint32
	stripes    uint32
	hashID     uint32
	refLayout  uint32
	tableHash  uint64
	meta       Meta
}

func newHeader(id *Identity, stripe int, m Meta, tableHash uint64) header {
	return header{
		generation: id.Generation, tenant: xxhash.Sum64String(id.Tenant),
		stripe: uint32(stripe), stripes: id.Stripes, hashID: id.HashID, refLayout: id.RefLayout,
		tableHash: tableHash, meta: m,
	}
}

// tableOffset is where the table begins: right behind the data.
func tableOffset(extents uint32) int64 { return dataOffset + int64(extents)*ExtentSize }

// slotSize is the file's size, without what was allocated ahead.
func slotSize(extents uint32) int64 {
	table := int64(extents) * hashSize
	return tableOffset(extents) + (table+tableAlign-1)/tableAlign*tableAlign
}

// append encodes h at the end of b, which is the start of the file.
func (h *header) append(b []byte) []byte {
	le := binary.LittleEndian
	m := &h.meta
	start := len(b)
	b = appendPreamble(b, slotMagic, slotLayout, headerMin+len(m.Chunks)*headerChunk)
	b = le.AppendUint32(b, ExtentSize)
	b = le.AppendUint64(b, h.generation)
	b = le.AppendUint64(b, h.tenant)
	b = le.AppendUint32(b, h.stripe)
	b = le.AppendUint32(b, h.stripes)
	b = le.AppendUint32(b, h.hashID)
	b = le.AppendUint32(b, h.refLayout)
	b = le.AppendUint64(b, m.Commit)
	b = le.AppendUint64(b, m.Epoch)
	b = le.AppendUint64(b, m.MaxIndex)
	b = le.AppendUint64(b, m.Series)
	b = le.AppendUint64(b, uint64(m.MinTime))
	b = le.AppendUint64(b, uint64(m.MaxTime))
	b = le.AppendUint64(b, uint64(m.Floor))
	b = le.AppendUint64(b, m.Segment)
	b = le.AppendUint32(b, m.Extents)
	b = le.AppendUint32(b, m.Layout)
	b = le.AppendUint64(b, dataOffset)
	b = le.AppendUint64(b, uint64(tableOffset(m.Extents)))
	b = le.AppendUint64(b, h.tableHash)
	b = le.AppendUint32(b, uint32(len(m.Chunks)))
	b = append(b, make([]byte, headerFixed-(len(b)-start))...)
	for _, c := range m.Chunks {
		b = le.AppendUint64(b, c.ID)
		b = le.AppendUint64(b, uint64(c.Length))
	}
	return le.AppendUint64(b, xxhash.Sum64(b[start:]))
}

// decodeHeader reads the start of a slot's file, and returns the header with its checksum. b holds at most
// the dataOffset bytes in front of the data. name is for errors.
func decodeHeader(name string, b []byte) (header, uint64, error) {
	n, err := checkPreamble(name, b, slotMagic, slotLayout, "image header", headerMin)
	if err != nil {
		return header{}, 0, err
	}
	b = b[:n]
	sum := binary.LittleEndian.Uint64(b[n-checksumSize:])

	r := reader{b: b[preambleSize:]}
	var h header
	m := &h.meta
	extentSize := r.u32()
	h.generation, h.tenant = r.u64(), r.u64()
	h.stripe, h.stripes, h.hashID, h.refLayout = r.u32(), r.u32(), r.u32(), r.u32()
	m.Commit, m.Epoch, m.MaxIndex, m.Series = r.u64(), r.u64(), r.u64(), r.u64()
	m.MinTime, m.MaxTime, m.Floor = int64(r.u64()), int64(r.u64()), int64(r.u64())
	m.Segment = r.u64()
	m.Extents, m.Layout = r.u32(), r.u32()
	data, table := r.u64(), r.u64()
	h.tableHash = r.u64()
	chunks := r.u32()
	zero := r.rest(headerFixed - preambleSize)

	// The checksum was right: what is wrong from here on was written so.
	bad := func(what string, want, got uint64) (header, uint64, error) {
		return header{}, 0, &CorruptError{File: name, What: "image header: " + what, Want: want, Got: got}
	}
	switch {
	case extentSize != ExtentSize:
		return bad("extent size", ExtentSize, uint64(extentSize))
	case m.Extents > maxExtents:
		return bad("number of extents", maxExtents, uint64(m.Extents))
	case data != dataOffset:
		return bad("offset of the data", dataOffset, data)
	case table != uint64(tableOffset(m.Extents)):
		return bad("offset of the table", uint64(tableOffset(m.Extents)), table)
	case !allZero(zero):
		return bad("reserved bytes", 0, 1)
	case headerMin+int(chunks)*headerChunk != n:
		return bad("number of chunk files", uint64(n-headerMin)/headerChunk, uint64(chunks))
	}
	if chunks > 0 {
		m.Chunks = make([]ChunkFile, chunks)
	}
	for i := range m.Chunks {
		m.Chunks[i] = ChunkFile{ID: r.u64(), Length: int64(r.u64())}
		if m.Chunks[i].Length < 0 {
			return bad("length of a chunk file", 0, uint64(m.Chunks[i].Length))
		}
	}
	return h, sum, nil
}

// belongsTo checks that the image is the stripe's and not one that lies here by mistake.
func (h *header) belongsTo(name string, id *Identity, stripe int) error {
	for _, f := range []struct {
		what      string
		want, got uint64
	}{
		{"tenant (hash of its name)", xxhash.Sum64String(id.Tenant), h.tenant},
		{"generation", id.Generation, h.generation},
		{"number of stripes", uint64(id.Stripes), uint64(h.stripes)},
		{"placement hash", uint64(id.HashID), uint64(h.hashID)},
		{"reference layout", uint64(id.RefLayout), uint64(h.refLayout)},
		{"stripe", uint64(stripe), uint64(h.stripe)},
	} {
		if f.want != f.got {
			return &CorruptError{File: name, What: fmt.Sprintf("foreign image: its %s", f.what), Want: f.want, Got: f.got}
		}
	}
	return nil
}

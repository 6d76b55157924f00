package walio

import "time"

// encoded is one commit, compressed and ready to be framed at any offset of any segment: a commit whose
// sync failed is written again elsewhere, byte for byte but for the framing.
type encoded struct {
	num     uint64
	header  []byte
	copy    []byte // the header again; empty when the commit has none
	data    []byte // the compressed records
	recs    []encodedRecord
	samples uint64
	raw     int // bytes before compression
	begun   time.Time
}

type encodedRecord struct {
	end   int
	flags byte
}

// encodeCommit compresses b into e and builds the header. h holds the fields that the batch does not
// know; its hashes are scratch.
func encodeCommit(e *encoded, b *Batch, h *commitHeader, c *compressor) {
	e.num, e.samples = h.commit, b.counts.Samples
	e.data, e.recs, e.raw = e.data[:0], e.recs[:0], 0
	h.hashes = h.hashes[:0]
	for _, col := range [...]*records{&b.series, &b.data} {
		from := 0
		for _, end := range col.ends {
			rec := col.bytes[from:end]
			from = end
			var flags byte
			e.data, flags = c.append(e.data, rec)
			e.recs = append(e.recs, encodedRecord{len(e.data), flags})
			e.raw += len(rec)
			h.hashes = append(h.hashes, recordHash(rec))
		}
	}
	h.counts, h.minT, h.maxT = b.counts, 0, 0
	if b.counts.Samples > 0 {
		h.minT, h.maxT = b.minT, b.maxT
	}
	e.seal(h)
}

// add appends a record that is compressed already.
func (e *encoded) add(data []byte, flags byte) {
	e.data = append(e.data, data...)
	e.recs = append(e.recs, encodedRecord{len(e.data), flags})
}

// seal encodes the header of a commit whose records are complete.
func (e *encoded) seal(h *commitHeader) {
	h.flags &^= flagCopy
	e.header, e.copy = appendCommitHeader(e.header[:0], h), e.copy[:0]
	if hasCopy(len(e.recs)) {
		h.flags |= flagCopy
		e.copy = appendCommitHeader(e.copy, h)
	}
}

// appendFrames appends the whole commit to dst, which will be written at offset off.
func (e *encoded) appendFrames(dst []byte, off int64) []byte {
	base := off - int64(len(dst)) // offset in the segment of dst[0]
	at := func() int64 { return base + int64(len(dst)) }
	dst = appendFragments(dst, at(), e.header, 0)
	from := 0
	for _, r := range e.recs {
		dst = appendFragments(dst, at(), e.data[from:r.end], r.flags)
		from = r.end
	}
	if len(e.copy) > 0 {
		dst = appendFragments(dst, at(), e.copy, 0)
	}
	return dst
}

// size is the most that the commit takes in a segment.
func (e *encoded) size() int64 {
	return int64(framedSizeMax(len(e.header)+len(e.data)+len(e.copy), len(e.recs)+2))
}

// memory is what the commit costs while it is retained.
func (e *encoded) memory() int64 { return int64(len(e.header) + len(e.data) + len(e.copy)) }

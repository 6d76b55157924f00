package walio

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// commitHeader is the first record of every commit; doc.go draws it.
type commitHeader struct {
	flags      byte
	generation uint64
	epoch      uint64
	commit     uint64
	synced     uint64 // greatest commit known durable when this one was built
	counts     Totals // of this commit
	minT, maxT int64  // of its float samples; 0, 0 without any
	before     Totals // running totals of all commits before this one
	hashes     []uint32
}

const (
	// flagCopy marks the copy of the header at the end of a commit of several records.
	flagCopy = 1 << 0
	// flagSalvaged marks a commit of which recovery could save a part only; the loss is in the ledger.
	flagSalvaged = 1 << 1

	flagsKnown = flagCopy | flagSalvaged
)

// samples records may be followed by their copy of the header, so that damage to the first one does not
// cost the whole commit. A commit of one record has nothing to gain from it.
func hasCopy(records int) bool { return records > 1 }

// recordHash is what a commit header keeps of each of its records.
func recordHash(rec []byte) uint32 { return uint32(xxhash.Sum64(rec)) }

func appendCommitHeader(dst []byte, h *commitHeader) []byte {
	from := len(dst)
	dst = append(dst, recordCommit, formatVersion, h.flags)
	for _, v := range [...]uint64{
		h.generation, h.epoch, h.commit, h.commit - h.synced,
		h.counts.Series, h.counts.Samples, h.counts.Others,
		h.before.Series, h.before.Samples, h.before.Others,
	} {
		dst = binary.AppendUvarint(dst, v)
	}
	dst = binary.AppendVarint(dst, h.minT)
	dst = binary.AppendUvarint(dst, uint64(h.maxT-h.minT))
	dst = binary.AppendUvarint(dst, uint64(len(h.hashes)))
	for _, sum := range h.hashes {
		dst = binary.LittleEndian.AppendUint32(dst, sum)
	}
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[from:]))
}

var (
	errHeader  = errors.New("malformed commit header")
	errSegment = errors.New("malformed segment header")
)

// parseCommitHeader reads rec into h, whose memory is reused.
func parseCommitHeader(rec []byte, h *commitHeader) error {
	body, err := checkHeader(rec, recordCommit, errHeader)
	if err != nil {
		return err
	}
	d := decoder{body}
	h.flags = d.byte()
	h.generation, h.epoch, h.commit = d.uvarint(), d.uvarint(), d.uvarint()
	h.synced = h.commit - d.uvarint()
	h.counts = d.totals()
	h.before = d.totals()
	h.minT = d.varint()
	h.maxT = h.minT + int64(d.uvarint())
	n := d.uvarint()
	if d.b == nil || h.flags&^flagsKnown != 0 || n*4 != uint64(len(d.b)) || h.synced >= h.commit {
		return errHeader
	}
	h.hashes = h.hashes[:0]
	for ; len(d.b) > 0; d.b = d.b[4:] {
		h.hashes = append(h.hashes, binary.LittleEndian.Uint32(d.b))
	}
	return nil
}

// checkHeader verifies type, checksum and version of one of our own records and returns what is between.
func checkHeader(rec []byte, typ byte, malformed error) ([]byte, error) {
	if len(rec) < 2+8 || rec[0] != typ {
		return nil, malformed
	}
	body := rec[:len(rec)-8]
	if binary.LittleEndian.Uint64(rec[len(rec)-8:]) != xxhash.Sum64(body) {
		return nil, malformed
	}
	if rec[1] != formatVersion {
		return nil, fmt.Errorf("%w: version %d, this program knows %d; start the newer program again",
			ErrVersion, rec[1], formatVersion)
	}
	return body[2:], nil
}

// segmentHeader is the first record of every segment; doc.go draws it.
type segmentHeader struct {
	kind  byte
	id    Identity
	epoch uint64
	num   uint64
	first uint64 // the first commit that the segment holds or will hold
	// Of a checkpoint's segment: the greatest index per stripe and the number of series, in this segment
	// and those before it.
	maxIndex []uint64
	series   uint64
}

const (
	segmentLog        = 0
	segmentCheckpoint = 1
)

// commitRange is a range of commit numbers, both ends included.
type commitRange struct{ first, last uint64 }

func appendSegmentHeader(dst []byte, h *segmentHeader) []byte {
	from := len(dst)
	dst = append(dst, recordSegment, formatVersion, h.kind)
	dst = binary.AppendUvarint(dst, uint64(len(h.id.Tenant)))
	dst = append(dst, h.id.Tenant...)
	for _, v := range [...]uint64{
		h.id.Generation, uint64(h.id.Stripes), uint64(h.id.HashID), uint64(h.id.RefLayout),
		h.epoch, h.num, h.first, uint64(len(h.maxIndex)),
	} {
		dst = binary.AppendUvarint(dst, v)
	}
	// Fixed width: a checkpoint's header is written again when these are known.
	for _, v := range h.maxIndex {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	dst = binary.BigEndian.AppendUint64(dst, h.series)
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[from:]))
}

func parseSegmentHeader(rec []byte) (*segmentHeader, error) {
	body, err := checkHeader(rec, recordSegment, errSegment)
	if err != nil {
		return nil, err
	}
	h, d := &segmentHeader{}, decoder{body}
	h.kind = d.byte()
	h.id.Tenant = string(d.bytes(tenantSizeMax))
	h.id.Generation = d.uvarint()
	h.id.Stripes, h.id.HashID, h.id.RefLayout = uint32(d.uvarint()), uint32(d.uvarint()), uint32(d.uvarint())
	h.epoch, h.num, h.first = d.uvarint(), d.uvarint(), d.uvarint()
	n := d.uvarint()
	if n > stripesMax {
		return nil, errSegment
	}
	for ; n > 0; n-- {
		h.maxIndex = append(h.maxIndex, d.be64())
	}
	h.series = d.be64()
	if d.b == nil || len(d.b) > 0 || h.kind > segmentCheckpoint {
		return nil, errSegment
	}
	return h, nil
}

// decoder cuts fields off b; b is nil once one of them was malformed, and everything read then is zero.
type decoder struct{ b []byte }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.b = nil
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b = nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b = nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) totals() Totals { return Totals{d.uvarint(), d.uvarint(), d.uvarint()} }

func (d *decoder) bytes(sizeMax int) []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) || n > uint64(sizeMax) {
		d.b = nil
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

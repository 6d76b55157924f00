package wire

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// fault says why bytes are no protobuf message. It is a small number instead of an error so that the walk
// neither allocates nor formats anything; Decode turns it into an *Error.
type fault uint8

const (
	faultNone fault = iota
	faultTruncated
	faultVarint
	faultField
	faultGroupEnd
	faultWireType
	faultKnownField
	faultBatchSize // not about bytes: the batch would grow beyond Options.MaxBatchSize
	faultOrder     // not about bytes: labels are not sorted, see Options.SortedOnly
)

var faultTexts = [...]string{
	faultTruncated:  "the message ends in the middle of a field",
	faultVarint:     "a varint has more than 10 bytes",
	faultField:      "a field number is not positive",
	faultGroupEnd:   "a group ends that did not begin",
	faultWireType:   "a field has a wire type that does not exist",
	faultKnownField: "a field has another wire type than its definition",
}

// Wire types.
const (
	wireVarint     = 0
	wireFixed64    = 1
	wireBytes      = 2
	wireGroupStart = 3
	wireGroupEnd   = 4
	wireFixed32    = 5
)

// All functions below take the bytes of the whole request cut at the end of the message they work in, so
// that positions mean the same everywhere, and return the position after what they read.
//
// They accept what the unmarshalling code that gogo/protobuf generates accepts, its leniencies included
// (bits of a varint beyond 64, field numbers beyond 32 bits, names of groups): a sender that works with
// Prometheus works here, and the two can be compared on any input.

// uvarint reads a varint at p.
func uvarint(m []byte, p int) (v uint64, next int, f fault) {
	for shift := uint(0); shift < 70; shift += 7 {
		if p >= len(m) {
			return 0, p, faultTruncated
		}
		c := m[p]
		p++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, p, faultNone
		}
	}
	return 0, p, faultVarint
}

// uvarint8 reads a varint of at most 8 bytes out of w, the 8 bytes that stand where it begins, little-endian.
// n is its size; 0 if it does not end within w.
func uvarint8(w uint64) (v uint64, n int) {
	stops := ^w & 0x8080808080808080
	if stops == 0 {
		return 0, 0
	}
	last := bits.TrailingZeros64(stops)
	w &= math.MaxUint64 >> (63 - last) & 0x7f7f7f7f7f7f7f7f
	// Close the gaps of one bit between pairs of bytes, then of two bits between halves, then of four.
	w = w&0x007f007f007f007f | w&0x7f007f007f007f00>>1
	w = w&0x00003fff00003fff | w&0x3fff00003fff0000>>2
	w = w&0x000000000fffffff | w&0x0fffffff00000000>>4
	return w, last>>3 + 1
}

// tag reads a field's number and wire type at p, where there is a byte.
func tag(m []byte, p int) (num int32, typ int, next int, f fault) {
	if c := m[p]; c-8 < 0x78 && c&7 != wireGroupEnd {
		return int32(c >> 3), int(c & 7), p + 1, faultNone
	}
	return longTag(m, p)
}

func longTag(m []byte, p int) (num int32, typ int, next int, f fault) {
	v, next, f := uvarint(m, p)
	if f != faultNone {
		return 0, 0, next, f
	}
	num, typ = int32(v>>3), int(v&7)
	if typ == wireGroupEnd {
		return 0, 0, next, faultGroupEnd
	}
	if num <= 0 {
		return 0, 0, next, faultField
	}
	return num, typ, next, faultNone
}

// span reads a length at p and returns the range that it covers. The length is compared with what is there,
// never added to a position before that, so no length overflows.
func span(m []byte, p int) (lo, hi int, f fault) {
	if p+2 < len(m) && m[p+1] < 0x80 {
		n := int(m[p])
		lo = p + 1
		if n >= 0x80 {
			n += int(m[lo])<<7 - 0x80
			lo++
		}
		if n <= len(m)-lo {
			return lo, lo + n, faultNone
		}
	}
	return longSpan(m, p)
}

func longSpan(m []byte, p int) (lo, hi int, f fault) {
	n, lo, f := uvarint(m, p)
	if f != faultNone {
		return 0, 0, f
	}
	if n > uint64(len(m)-lo) {
		return 0, 0, faultTruncated
	}
	return lo, lo + int(n), faultNone
}

// fixed64 reads 8 bytes at p.
func fixed64(m []byte, p int) (v uint64, next int, f fault) {
	if len(m)-p < 8 {
		return 0, p, faultTruncated
	}
	return binary.LittleEndian.Uint64(m[p:]), p + 8, faultNone
}

// skip passes over a field of wire type typ whose tag ends at p. Groups are counted, not recursed into: a
// body of a million opening groups costs a million steps and no stack.
func skip(m []byte, p, typ int) (next int, f fault) {
	for depth := 0; ; {
		switch typ {
		case wireVarint:
			_, p, f = uvarint(m, p)
		case wireFixed64:
			_, p, f = fixed64(m, p)
		case wireBytes:
			_, p, f = span(m, p)
		case wireGroupStart:
			depth++
		case wireGroupEnd:
			depth-- // not below 0: outside a group, tag has refused it
		case wireFixed32:
			if len(m)-p < 4 {
				return p, faultTruncated
			}
			p += 4
		default:
			return p, faultWireType
		}
		if f != faultNone || depth == 0 {
			return p, f
		}
		var v uint64
		if v, p, f = uvarint(m, p); f != faultNone {
			return p, f
		}
		typ = int(v & 7)
	}
}

// wellFormed checks that m[p:] is a sequence of fields, whatever they mean.
func wellFormed(m []byte, p int) fault {
	for p < len(m) {
		_, typ, next, f := tag(m, p)
		if f != faultNone {
			return f
		}
		if p, f = skip(m, next, typ); f != faultNone {
			return f
		}
	}
	return faultNone
}

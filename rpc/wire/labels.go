package wire

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// Tags of the fields that a canonical key and a usual series consist of: number<<3 | wire type.
const (
	tagLabel      = 1<<3 | wireBytes // of TimeSeries
	tagName       = 1<<3 | wireBytes // of Label
	tagValue      = 2<<3 | wireBytes
	tagSample     = 2<<3 | wireBytes // of TimeSeries, 1.0 and 2.0
	tagSampleV    = 1<<3 | wireFixed64
	tagSampleT    = 2<<3 | wireVarint
	tagLabelsRefs = 1<<3 | wireBytes // of TimeSeries of 2.0, packed
)

const metricName = "__name__"

// metricNameWindow is metricName as window returns it. No other name of 8 bytes or fewer has it.
const metricNameWindow = 0x5f5f6e616d655f5f

// nameMask keeps the first n bytes of a big-endian word.
var nameMask = func() (mask [128]uint64) {
	for n := range mask {
		if n < 8 {
			mask[n] = ^(^uint64(0) >> (8 * n))
		} else {
			mask[n] = ^uint64(0)
		}
	}
	return mask
}()

// window is the first 8 bytes of a name as a number, zeros behind a shorter one. If the windows of two names
// differ, the names are ordered as their windows are.
func window(name []byte) uint64 {
	if len(name) >= 8 {
		return binary.BigEndian.Uint64(name)
	}
	var w [8]byte
	copy(w[:], name)
	return binary.BigEndian.Uint64(w[:])
}

// fastLabelSpan is how many bytes the fast path of canonicalKey may look at: a label whose lengths take a
// byte each ends before it.
const fastLabelSpan = 4 + 127 + 2

// canonicalKey walks the label fields at the beginning of a TimeSeries, body[p:e]. If they are in canonical
// form and within the limits it returns where they end: their bytes are the series' key.
//
// This is where most of a decoder's time goes. A label with short name and value costs two loads that the
// next label waits for, and about twenty instructions that it does not wait for.
func (d *Decoder) canonicalKey(body []byte, p, e int) (end int, ok bool) {
	begin, count, named := p, 0, false
	var prevLo, prevHi int // the name before
	var prevWin uint64     // its window
	short := d.limits.MaxNameLength >= 127 && d.limits.MaxValueLength >= 127
	for p < e && body[p] == tagLabel {
		count++
		if short && len(body)-p >= fastLabelSpan {
			x := (*[fastLabelSpan]byte)(body[p:])
			head := binary.LittleEndian.Uint32(x[:])
			size, n := int(head>>8&0x7f), int(head>>24&0x7f)
			mid := uint32(x[4+n]) | uint32(x[5+n])<<8
			v := int(mid >> 8 & 0x7f)
			win := binary.BigEndian.Uint64(x[4:]) & nameMask[n]
			if head&0x80ff80ff == tagName<<16|tagLabel && mid&0x80ff == tagValue && size == 4+n+v && n != 0 && v != 0 && win > prevWin {
				named = named || win == metricNameWindow && n == len(metricName)
				prevLo, prevHi, prevWin = p+4, p+4+n, win
				p += 2 + size
				continue
			}
		}
		l, next, ok := canonicalLabel(body[:e], p)
		name := l.name(body)
		if !ok || len(name) > d.limits.MaxNameLength || len(l.value(body)) > d.limits.MaxValueLength || bytes.Compare(body[prevLo:prevHi], name) >= 0 {
			return 0, false
		}
		named = named || string(name) == metricName
		prevLo, prevHi, prevWin = int(l.nameLo), int(l.nameHi), window(name)
		p = next
	}
	if p > e || !named || count > d.limits.MaxLabelNames || p-begin > d.limits.MaxKeySize {
		return 0, false
	}
	if key := body[begin:p]; !ascii(key) && !validKey(key) {
		return 0, false
	}
	return p, true
}

// label is where name and value of a label stand in the body.
type label struct {
	nameLo, nameHi, valueLo, valueHi uint32
}

func (l label) name(body []byte) []byte  { return body[l.nameLo:l.nameHi] }
func (l label) value(body []byte) []byte { return body[l.valueLo:l.valueHi] }

// canonicalLabel reads a label field of a TimeSeries at m[p:] that is in canonical form: tag, name and value
// in this order and nothing else, minimal varints, nothing empty.
func canonicalLabel(m []byte, p int) (l label, next int, ok bool) {
	lo, next, ok := canonicalSpan(m, p, tagLabel)
	if !ok {
		return label{}, 0, false
	}
	m = m[:next]
	nameLo, nameHi, ok := canonicalSpan(m, lo, tagName)
	if !ok {
		return label{}, 0, false
	}
	valueLo, valueHi, ok := canonicalSpan(m, nameHi, tagValue)
	if !ok || valueHi != next {
		return label{}, 0, false
	}
	return label{uint32(nameLo), uint32(nameHi), uint32(valueLo), uint32(valueHi)}, next, true
}

func canonicalSpan(m []byte, p int, tag byte) (lo, hi int, ok bool) {
	if p >= len(m) || m[p] != tag {
		return 0, 0, false
	}
	lo, hi, f := span(m, p+1)
	return lo, hi, f == faultNone && lo < hi && lo-(p+1) == uvarintSize(hi-lo)
}

// ascii reports whether no byte of key has its highest bit set. Then all lengths in it take one byte, and
// its strings are UTF-8.
func ascii(key []byte) bool {
	var bits uint64
	for len(key) >= 32 {
		bits |= binary.LittleEndian.Uint64(key) | binary.LittleEndian.Uint64(key[8:]) |
			binary.LittleEndian.Uint64(key[16:]) | binary.LittleEndian.Uint64(key[24:])
		key = key[32:]
	}
	for len(key) >= 8 {
		bits |= binary.LittleEndian.Uint64(key)
		key = key[8:]
	}
	for _, c := range key {
		bits |= uint64(c)
	}
	return bits&0x8080808080808080 == 0
}

// validKey reports whether all strings of a canonical key are UTF-8.
func validKey(key []byte) bool {
	for p := 0; p < len(key); {
		l, next, ok := canonicalLabel(key, p)
		if !ok || !utf8.Valid(l.name(key)) || !utf8.Valid(l.value(key)) {
			return false
		}
		p = next
	}
	return true
}

// uvarintSize is the number of bytes of the minimal varint of n.
func uvarintSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

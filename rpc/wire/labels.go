package wire

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/rekindledb/rekindle/engine"
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

// metricNameWindow is metricName as window returns it. No other name of 8 bytes has it.
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

// canonicalKey walks the label fields at the beginning of a TimeSeries, body[p:e]. If they are in canonical
// form and within the limits it returns where they end: their bytes are the series' key.
func (d *Decoder) canonicalKey(body []byte, p, e int) (end int, ok bool) {
	run := labelRun{next: p, last: p}
	short := d.limits.MaxNameLength >= 127 && d.limits.MaxValueLength >= 127
	for {
		if short {
			run = run.short(body, e)
		}
		if run.next >= e || body[run.next] != tagLabel {
			break
		}
		l, next, ok := canonicalLabel(body[:e], run.next)
		if !ok || len(l.name(body)) > d.limits.MaxNameLength || len(l.value(body)) > d.limits.MaxValueLength {
			return 0, false
		}
		if run.count > 0 {
			last, _, _ := canonicalLabel(body[:e], run.last)
			if bytes.Compare(last.name(body), l.name(body)) >= 0 {
				return 0, false
			}
		}
		run = labelRun{next: next, last: run.next, win: window(l.name(body)), count: run.count + 1}
	}
	key := body[p:run.next]
	if run.next > e || run.count > d.limits.MaxLabelNames || len(key) > d.limits.MaxKeySize {
		return 0, false
	}
	if d.limits.Nameless {
		return run.next, run.count > 0 && (ascii(key) || validKey(key))
	}
	return run.next, (ascii(key) || validKey(key)) && hasMetricName(key)
}

// expectedKey returns where the labels at the beginning of a TimeSeries, body[p:e], end, if they begin with those of the
// series that the engine expects. Whether another label follows is for the caller to see. A key that was stored is in
// canonical form; whether it is within the limits shows in its size, or canonicalKey will say.
func (d *Decoder) expectedKey(body []byte, p, e int, b *engine.Batch) (end int, known engine.Known, ok bool) {
	x := b.Expect(body[p:e])
	end = p + x.Size
	if x.Size == 0 || x.Size > d.usualKey || x.Labels > d.limits.MaxLabelNames || !d.limits.Nameless && !hasMetricName(body[p:end]) {
		return 0, engine.Known{}, false
	}
	return end, x.Known, true
}

// labelRun is how far the labels of a series have been walked.
type labelRun struct {
	next  int    // where the next label begins
	last  int    // where the one before it begins
	win   uint64 // window of the name of that
	count int
}

// shortLabelSpan is how many bytes short may look at: a label whose lengths take a byte each ends before it.
const shortLabelSpan = 4 + 127 + 2

// short walks labels whose lengths take a byte each, that are in canonical form, and whose order shows in the
// first 8 bytes of their names: nearly all. It ends before the first other one, or beyond e.
//
// This is where most of a decoder's time goes. It is a function of its own to keep its values in registers.
func (r labelRun) short(body []byte, e int) labelRun {
	p, last, win, count := r.next, r.last, r.win, r.count
	for p < e && len(body)-p >= shortLabelSpan {
		x := (*[shortLabelSpan]byte)(body[p:])
		head := binary.LittleEndian.Uint32(x[:])
		n := int(head >> 24 & 0x7f)
		mid := uint32(x[4+n]) | uint32(x[5+n])<<8
		size := int(body[p+1]) // once more: the next label waits for this load only, not for x and head
		v := int(mid >> 8 & 0x7f)
		w := binary.BigEndian.Uint64(x[4:]) & nameMask[n]
		if head&0x80ff80ff != tagName<<16|tagLabel || mid&0x80ff != tagValue || size != 4+n+v || n == 0 || v == 0 || w <= win {
			break
		}
		last, win = p, w
		p += 2 + size
		count++
	}
	return labelRun{p, last, win, count}
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
	if n := len(key); n >= 32 { // then the last 32 bytes can be looked at twice, and no rest is left over
		bits = high(key[n-32:])
		for ; len(key) > 32; key = key[32:] {
			bits |= high(key)
		}
	} else {
		for _, c := range key {
			bits |= uint64(c)
		}
	}
	return bits&0x8080808080808080 == 0
}

// high merges the first 32 bytes of b into 8, so that a bit is set if it is set in one of them.
func high(b []byte) uint64 {
	x := (*[32]byte)(b)
	return binary.LittleEndian.Uint64(x[0:]) | binary.LittleEndian.Uint64(x[8:]) |
		binary.LittleEndian.Uint64(x[16:]) | binary.LittleEndian.Uint64(x[24:])
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

// hasMetricName reports whether a canonical key has a label __name__. It is the first one, unless others
// begin with a capital or a digit.
func hasMetricName(key []byte) bool {
	if len(key) >= 12 && key[1] < 0x80 && key[3] == byte(len(metricName)) && binary.BigEndian.Uint64(key[4:]) == metricNameWindow {
		return true
	}
	for p := 0; p < len(key); {
		l, next, _ := canonicalLabel(key, p)
		if string(l.name(key)) == metricName {
			return true
		}
		p = next
	}
	return false
}

// uvarintSize is the number of bytes of the minimal varint of n.
func uvarintSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

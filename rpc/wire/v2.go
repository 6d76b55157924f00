package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/rekindledb/rekindle/engine"
)

// symbol is an interned string of a 2.0 request and what is worth knowing once of it. 32 bytes; a request
// of 2000 series has some thousand.
type symbol struct {
	lo, hi     uint32 // in the body
	win        uint64 // window of the string, to order names by
	help, unit uint32 // refs of the metadata last seen for the family of this name, if described
	typ        uint8
	described  bool
	notUTF8    bool
}

func (s *symbol) size() int { return int(s.hi - s.lo) }

// walkV2 walks a Request. Symbols are collected first, wherever they stand: protobuf lets a sender put them
// behind the series.
func (d *Decoder) walkV2(body []byte, b *engine.Batch) (at int, f fault) {
	d.symbols = d.symbols[:0]
	for p := 0; p < len(body); {
		at = p
		num, typ, q, f := tag(body, p)
		if f != faultNone {
			return at, f
		}
		switch num {
		case 4, 5: // symbols, timeseries
			if typ != wireBytes {
				return at, faultKnownField
			}
			lo, hi, f := span(body, q)
			if f == faultNone && num == 4 {
				f = d.addSymbol(body, lo, hi)
			}
			if f != faultNone {
				return at, f
			}
			p = hi
		default:
			if p, f = skip(body, q, typ); f != faultNone {
				return at, f
			}
		}
	}
	for p := 0; p < len(body); {
		at = p
		num, typ, q, _ := tag(body, p)
		if num == 5 {
			lo, hi, _ := span(body, q)
			if f := d.seriesV2(body[:hi], lo, b); f != faultNone {
				return at, f
			}
			p = hi
		} else {
			p, _ = skip(body, q, typ)
		}
	}
	return 0, faultNone
}

func (d *Decoder) addSymbol(body []byte, lo, hi int) fault {
	if len(d.symbols) == cap(d.symbols) {
		var ok bool
		if d.symbols, ok = reserve(d.symbols, 1, d.limits.MaxBatchSize); !ok {
			return faultBatchSize
		}
	}
	text := body[lo:hi]
	d.symbols = append(d.symbols, symbol{lo: uint32(lo), hi: uint32(hi), win: window(text), notUTF8: !utf8.Valid(text)})
	return faultNone
}

// refsV2 are the references of a series besides its labels'.
type refsV2 struct {
	help, unit uint32
	typ        uint8
}

// seriesV2 decodes the TimeSeries m[p:].
func (d *Decoder) seriesV2(m []byte, p int, b *engine.Batch) fault {
	c := contents{firstSample: len(b.Samples), mustHaveSamples: true}
	md, f := d.fieldsV2(m, p, b, &c)
	if f != faultNone {
		return f
	}
	symbols := uint32(min(len(d.symbols), 1<<32-1))
	if n := len(d.refs); n%2 != 0 {
		d.discardSeries(b, &c, ReasonSymbolRef, func() string { return fmt.Sprintf("invalid labelRefs length %d", n) })
		return faultNone
	}
	if md != (refsV2{}) && (md.help >= symbols || md.unit >= symbols) {
		d.discardSeries(b, &c, ReasonSymbolRef, func() string {
			return fmt.Sprintf("metadata unit_ref %d or help_ref %d outside of symbols table (size %d)", md.unit, md.help, symbols)
		})
		return faultNone
	}
	for i := 0; i < len(d.refs); i += 2 {
		if name, value := d.refs[i], d.refs[i+1]; name >= symbols || value >= symbols {
			d.discardSeries(b, &c, ReasonSymbolRef, func() string {
				return fmt.Sprintf("labelRefs %d (name) = %d (value) outside of symbols table (size %d)", name, value, symbols)
			})
			return faultNone
		}
	}
	if size, ok := d.canonicalRefs(); ok && (len(b.Samples) > c.firstSample || c.histograms > 0) {
		if !d.expand(size) {
			return faultBatchSize
		}
		key := d.appendRefs(scratch(b, size+overrun))
		b.Scratch = b.Scratch[:len(b.Scratch)+len(key)]
		if f := d.addSeries(b, key[:len(key):len(key)], &c); f != faultNone {
			return f
		}
	} else {
		d.labels = d.labels[:0]
		for i := 0; i < len(d.refs); i += 2 {
			name, value := &d.symbols[d.refs[i]], &d.symbols[d.refs[i+1]]
			if f := d.addLabel(label{name.lo, name.hi, value.lo, value.hi}); f != faultNone {
				return f
			}
		}
		if ok, f := d.addUnsorted(b, &c); f != faultNone || !ok {
			return f
		}
	}
	if md == (refsV2{}) {
		return faultNone
	}
	return d.metadataV2(b, md)
}

// fieldsV2 reads the fields of a TimeSeries: labels to d.refs, samples to b.
func (d *Decoder) fieldsV2(m []byte, p int, b *engine.Batch, c *contents) (md refsV2, f fault) {
	d.refs = d.refs[:0]
	for p < len(m) {
		if m[p] == tagSample {
			if p, f = d.sample(m, p+1, V2, b); f != faultNone {
				return md, f
			}
			continue
		}
		num, typ, q, f := tag(m, p)
		if f != faultNone {
			return md, f
		}
		switch {
		case num == 1:
			p, f = d.collectRefs(m, q, typ)
		case num > 5:
			p, f = skip(m, q, typ)
		case typ != wireBytes:
			f = faultKnownField
		case num == 2: // with a tag that is longer than it needs to be
			p, f = d.sample(m, q, V2, b)
		case num == 3:
			c.histograms++
			p, f = message(m, q)
		case num == 4:
			c.exemplars++
			p, f = message(m, q)
		case num == 5:
			p, f = md.read(m, q)
		}
		if f != faultNone {
			return md, f
		}
	}
	return md, faultNone
}

// collectRefs reads references, packed or one by one, to d.refs.
func (d *Decoder) collectRefs(m []byte, p, typ int) (next int, f fault) {
	end := p + 1
	switch typ {
	case wireVarint:
	case wireBytes:
		if p, end, f = span(m, p); f != faultNone {
			return p, f
		}
	default:
		return p, faultKnownField
	}
	// A reference takes a byte at least. It may end behind the end of its packed field, as far as the
	// generated code that we follow cares.
	n := len(d.refs)
	refs, ok := reserve(d.refs, end-p, d.limits.MaxBatchSize)
	if !ok {
		return p, faultBatchSize
	}
	refs = refs[:n+end-p]
	for p < end {
		var v uint64
		if p < len(m) && m[p] < 0x80 {
			v = uint64(m[p])
			p++
		} else if p+1 < len(m) && m[p+1] < 0x80 {
			v = uint64(m[p]) + uint64(m[p+1])<<7 - 0x80
			p += 2
		} else if v, p, f = uvarint(m, p); f != faultNone {
			return p, f
		}
		refs[n] = uint32(v)
		n++
	}
	d.refs = refs[:n]
	return p, faultNone
}

// canonicalRefs reports whether d.refs, which are in bounds, name labels that are sorted and within the
// limits, and the size of the key that they make.
func (d *Decoder) canonicalRefs() (size int, ok bool) {
	var prev *symbol
	named := false
	for i := 0; i+1 < len(d.refs); i += 2 {
		name, value := &d.symbols[d.refs[i]], &d.symbols[d.refs[i+1]]
		n, v := name.size(), value.size()
		if n == 0 || v == 0 || name.notUTF8 || value.notUTF8 || n > d.limits.MaxNameLength || v > d.limits.MaxValueLength {
			return 0, false
		}
		if prev != nil && name.win <= prev.win &&
			(name.win < prev.win || bytes.Compare(d.text[prev.lo:prev.hi], d.text[name.lo:name.hi]) >= 0) {
			return 0, false
		}
		named = named || name.win == metricNameWindow && n == len(metricName)
		prev = name
		if s := 4 + n + v; s < 0x80 {
			size += 2 + s
		} else {
			size += labelSize(n, v)
		}
	}
	return size, named && len(d.refs)/2 <= d.limits.MaxLabelNames && size <= d.limits.MaxKeySize
}

// overrun is how far behind a key appendRefs may write, and behind a symbol it may read.
const overrun = 64

// appendRefs appends the canonical key that d.refs make to key, which has room for it and overrun bytes more.
// Names up to 32 and values up to 64 bytes are copied in whole blocks, and what is too much of them is
// overwritten by what follows: with exact copies all of decoding takes a sixth longer.
func (d *Decoder) appendRefs(key []byte) []byte {
	k := len(key)
	key = key[:cap(key)]
	for i := 0; i+1 < len(d.refs); i += 2 {
		name, value := &d.symbols[d.refs[i]], &d.symbols[d.refs[i+1]]
		n, v := name.size(), value.size()
		if n > 32 || v > 64 || 4+n+v >= 0x80 || len(d.text)-int(max(name.lo, value.lo)) < overrun {
			k = len(appendLabel(key[:k], d.text[name.lo:name.hi], d.text[value.lo:value.hi]))
			continue
		}
		dst := key[k:]
		binary.LittleEndian.PutUint32(dst, uint32(tagLabel|(4+n+v)<<8|tagName<<16|n<<24))
		copyBlock(dst[4:], d.text[name.lo:])
		binary.LittleEndian.PutUint16(dst[4+n:], uint16(tagValue|v<<8))
		copyBlock(dst[6+n:], d.text[value.lo:])
		if v > 32 {
			copyBlock(dst[6+n+32:], d.text[value.lo+32:])
		}
		k += 6 + n + v
	}
	return key[:k]
}

// copyBlock copies 32 bytes by way of registers: an array that might overlap the other would be left to
// memmove.
func copyBlock(dst, src []byte) {
	d, s := (*[32]byte)(dst), (*[32]byte)(src)
	w0, w1 := binary.LittleEndian.Uint64(s[0:]), binary.LittleEndian.Uint64(s[8:])
	w2, w3 := binary.LittleEndian.Uint64(s[16:]), binary.LittleEndian.Uint64(s[24:])
	binary.LittleEndian.PutUint64(d[0:], w0)
	binary.LittleEndian.PutUint64(d[8:], w1)
	binary.LittleEndian.PutUint64(d[16:], w2)
	binary.LittleEndian.PutUint64(d[24:], w3)
}

// read reads the Metadata whose length stands at m[p]. A second one in a series overrides field by field.
func (md *refsV2) read(m []byte, p int) (next int, f fault) {
	p, next, f = span(m, p)
	if f != faultNone {
		return p, f
	}
	m = m[:next]
	for p < len(m) {
		num, typ, q, f := tag(m, p)
		if f != faultNone {
			return p, f
		}
		if num != 1 && num != 3 && num != 4 {
			if p, f = skip(m, q, typ); f != faultNone {
				return p, f
			}
			continue
		}
		if typ != wireVarint {
			return p, faultKnownField
		}
		v, q, f := uvarint(m, q)
		if f != faultNone {
			return q, f
		}
		switch p = q; num {
		case 1:
			md.typ = metricType(v)
		case 3:
			md.help = uint32(v)
		case 4:
			md.unit = uint32(v)
		}
	}
	return next, faultNone
}

// metadataV2 adds what a stored series says about its family, once for all series of the request that say
// the same. The family is the metric's name, as in Cortex.
func (d *Decoder) metadataV2(b *engine.Batch, md refsV2) fault {
	for i := 0; i < len(d.refs); i += 2 {
		name, family := &d.symbols[d.refs[i]], &d.symbols[d.refs[i+1]]
		if name.win != metricNameWindow || name.size() != len(metricName) || family.size() == 0 {
			continue
		}
		if family.described && family.help == md.help && family.unit == md.unit && family.typ == md.typ {
			return faultNone
		}
		family.described, family.help, family.unit, family.typ = true, md.help, md.unit, md.typ
		help, unit := &d.symbols[md.help], &d.symbols[md.unit]
		return d.addMetadata(b, engine.Metadata{
			Family: d.text[family.lo:family.hi:family.hi],
			Help:   d.text[help.lo:help.hi:help.hi],
			Unit:   d.text[unit.lo:unit.hi:unit.hi],
			Type:   md.typ,
		})
	}
	return faultNone
}

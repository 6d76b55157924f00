package wire

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/rekindledb/rekindle/engine"
)

// walkV1 walks a WriteRequest. at is the beginning of the field where a fault was found.
func (d *Decoder) walkV1(body []byte, b *engine.Batch) (at int, f fault) {
	for p := 0; p < len(body); {
		at = p
		num, typ, q, f := tag(body, p)
		if f != faultNone {
			return at, f
		}
		switch num {
		case 1, 3: // timeseries, metadata
			if typ != wireBytes {
				return at, faultKnownField
			}
			lo, hi, f := span(body, q)
			if f != faultNone {
				return at, f
			}
			if num == 1 {
				f = d.seriesV1(body, lo, hi, b)
			} else {
				f = d.metadataV1(body[:hi], lo, b)
			}
			if f != faultNone {
				return at, f
			}
			p = hi
		default:
			if num == fieldSource && typ == wireVarint {
				source, _, _ := uvarint(body, q) // skip finds what is wrong with it
				d.rule = source == sourceRule
			}
			if p, f = skip(body, q, typ); f != faultNone {
				return at, f
			}
		}
	}
	return 0, faultNone
}

// Cortex's addition to the request: who made it.
const (
	fieldSource = 2
	sourceRule  = 1
)

// seriesV1 decodes the TimeSeries body[p:e]. One whose labels come first and in canonical form keeps them
// where they are; those of one that is expected need not be looked at. All others, and all that have something wrong
// with them, are read once more, with the labels collected.
func (d *Decoder) seriesV1(body []byte, p, e int, b *engine.Batch) fault {
	m := body[:e]
	end, known, ok := d.expectedKey(body, p, e, b)
	if !ok {
		end, ok = d.canonicalKey(body, p, e)
	}
	c := contents{firstSample: len(b.Samples), known: known}
	if ok {
		if f := d.fieldsV1(m, end, b, &c, false); f != faultNone {
			return f
		}
		if !c.labelsSeen {
			return d.addSeries(b, body[p:end:end], &c)
		}
		b.Samples = b.Samples[:c.firstSample]
		c = contents{firstSample: c.firstSample}
	}
	d.labels = d.labels[:0]
	if f := d.fieldsV1(m, p, b, &c, true); f != faultNone {
		return f
	}
	if d.limits.SortedOnly && !d.sorted() {
		return faultOrder
	}
	_, f := d.addUnsorted(b, &c)
	return f
}

// sorted reports whether no label of d.labels has a lesser name than the one before it.
func (d *Decoder) sorted() bool {
	return slices.IsSortedFunc(d.labels, func(x, y label) int { return bytes.Compare(x.name(d.text), y.name(d.text)) })
}

// contents is what a series has besides its labels. Its samples are those of the batch from firstSample on.
type contents struct {
	known                 engine.Known
	firstSample           int
	histograms, exemplars int
	labelsSeen            bool
	mustHaveSamples       bool // a series without any is an error, not a series that is not there
}

// fieldsV1 reads fields of a TimeSeries from m[p:]. Labels are only noticed, or collected in d.labels.
func (d *Decoder) fieldsV1(m []byte, p int, b *engine.Batch, c *contents, collect bool) fault {
	for p < len(m) {
		if m[p] == tagSample {
			next, f := d.sample(m, p+1, V1, b)
			if f != faultNone {
				return f
			}
			p = next
			continue
		}
		num, typ, q, f := tag(m, p)
		if f != faultNone {
			return f
		}
		if num > 4 {
			if p, f = skip(m, q, typ); f != faultNone {
				return f
			}
			continue
		}
		if typ != wireBytes {
			return faultKnownField
		}
		switch num {
		case 1: // labels
			c.labelsSeen = true
			if !collect {
				return faultNone
			}
			p, f = d.collectLabel(m, q)
		case 2: // samples, with a tag that is longer than it needs to be
			p, f = d.sample(m, q, V1, b)
		case 3: // exemplars
			c.exemplars++
			p, f = message(m, q)
		case 4: // histograms
			c.histograms++
			p, f = message(m, q)
		}
		if f != faultNone {
			return f
		}
	}
	return faultNone
}

// message passes over a nested message that is counted only.
func message(m []byte, p int) (next int, f fault) {
	lo, hi, f := span(m, p)
	if f != faultNone {
		return p, f
	}
	return hi, wellFormed(m[:hi], lo)
}

// usualSample is the most bytes of a sample, from its length on, that the fast path takes.
const usualSample = 1 + 1 + 8 + 1 + 8

// sample reads the Sample whose length stands at m[p] into b. The two versions differ in field 3, the start
// timestamp, which is known in 2.0 only (and not stored yet).
func (d *Decoder) sample(m []byte, p int, version Version, b *engine.Batch) (next int, f fault) {
	// The usual sample: a value, or none for zero, and a timestamp of up to 8 bytes. The window may reach
	// into what follows the series.
	var s engine.Sample
	if len(d.text)-p >= usualSample {
		x := (*[usualSample]byte)(d.text[p:])
		at := 2
		if x[1] == tagSampleV {
			s.V, at = binary.LittleEndian.Uint64(x[2:]), 11
		}
		if x[at-1] == tagSampleT {
			t, n := uvarint8(binary.LittleEndian.Uint64(x[at:]))
			if n != 0 && int(x[0]) == at-1+n {
				s.T, next = int64(t), p+at+n
			}
		}
	}
	if next == 0 || next > len(m) {
		if s, next, f = sampleSlow(m, p, version); f != faultNone {
			return p, f
		}
	}
	if len(b.Samples) == cap(b.Samples) {
		var ok bool
		if b.Samples, ok = reserve(b.Samples, 1, d.limits.MaxBatchSize); !ok {
			return p, faultBatchSize
		}
	}
	b.Samples = append(b.Samples, s)
	return next, faultNone
}

// sampleSlow is sample for every form that a sample may have.
func sampleSlow(m []byte, p int, version Version) (s engine.Sample, next int, f fault) {
	p, next, f = span(m, p)
	if f != faultNone {
		return s, p, f
	}
	m = m[:next]
	for p < len(m) {
		num, typ, q, f := tag(m, p)
		if f != faultNone {
			return s, p, f
		}
		switch num {
		case 1:
			if typ != wireFixed64 {
				return s, p, faultKnownField
			}
			s.V, p, f = fixed64(m, q)
		case 2:
			if typ != wireVarint {
				return s, p, faultKnownField
			}
			var t uint64
			t, p, f = uvarint(m, q)
			s.T = int64(t)
		default:
			if num == 3 && version == V2 && typ != wireVarint {
				return s, p, faultKnownField
			}
			p, f = skip(m, q, typ)
		}
		if f != faultNone {
			return s, p, f
		}
	}
	return s, next, faultNone
}

// collectLabel reads the Label whose length stands at m[p] into d.labels, unless its value is empty, which
// means the same as no label.
func (d *Decoder) collectLabel(m []byte, p int) (next int, f fault) {
	p, next, f = span(m, p)
	if f != faultNone {
		return p, f
	}
	m = m[:next]
	var l label
	for p < len(m) {
		num, typ, q, f := tag(m, p)
		if f != faultNone {
			return p, f
		}
		if num > 2 {
			if p, f = skip(m, q, typ); f != faultNone {
				return p, f
			}
			continue
		}
		if typ != wireBytes {
			return p, faultKnownField
		}
		lo, hi, f := span(m, q)
		if f != faultNone {
			return p, f
		}
		if num == 1 {
			l.nameLo, l.nameHi = uint32(lo), uint32(hi)
		} else {
			l.valueLo, l.valueHi = uint32(lo), uint32(hi)
		}
		p = hi
	}
	return next, d.addLabel(l)
}

// addLabel appends l to d.labels, unless its value is empty.
func (d *Decoder) addLabel(l label) fault {
	if l.valueLo == l.valueHi {
		return faultNone
	}
	if len(d.labels) == cap(d.labels) {
		var ok bool
		if d.labels, ok = reserve(d.labels, 1, d.limits.MaxBatchSize); !ok {
			return faultBatchSize
		}
	}
	d.labels = append(d.labels, l)
	return faultNone
}

// addSeries appends a series whose labels are key. One without samples is not worth a lookup.
func (d *Decoder) addSeries(b *engine.Batch, key []byte, c *contents) fault {
	b.Histograms += c.histograms
	b.Exemplars += c.exemplars
	if c.firstSample == len(b.Samples) {
		return faultNone
	}
	if len(b.Series) == cap(b.Series) {
		var ok bool
		if b.Series, ok = reserve(b.Series, 1, d.limits.MaxBatchSize); !ok {
			return faultBatchSize
		}
	}
	b.Series = append(b.Series, engine.BatchSeries{
		Key:   key,
		Lo:    uint32(c.firstSample),
		Hi:    uint32(len(b.Samples)),
		Known: c.known,
	})
	return faultNone
}

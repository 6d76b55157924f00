package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"github.com/rekindledb/rekindle/engine"
)

// labelSizeMin is the size of the smallest label in a key.
const labelSizeMin = 2 + 3 + 3

// addUnsorted brings d.labels into canonical form and appends the series, or discards it.
func (d *Decoder) addUnsorted(b *engine.Batch, c *contents) (ok bool, f fault) {
	size := 0
	for _, l := range d.labels {
		size += labelSize(int(l.nameHi-l.nameLo), int(l.valueHi-l.valueLo))
	}
	// Counted before anything is done with the bytes: series of a 2.0 request can have many more of them than
	// the request, and comparing and checking them costs as much as storing them.
	if !d.expand(size) {
		return false, faultBatchSize
	}
	if len(d.labels) <= d.limits.MaxKeySize/labelSizeMin { // else it will be refused, and sorting is dear
		slices.SortStableFunc(d.labels, func(x, y label) int { return bytes.Compare(x.name(d.text), y.name(d.text)) })
	}
	reason, cause := d.check(size)
	if reason == "" && c.mustHaveSamples && c.firstSample == len(b.Samples) && c.histograms == 0 {
		reason = ReasonNoSamples
	}
	if reason != "" {
		d.discardSeries(b, c, reason, func() string { return d.describe(reason, cause, size) })
		return false, faultNone
	}
	key := scratch(b, size)
	for _, l := range d.labels {
		key = appendLabel(key, l.name(d.text), l.value(d.text))
	}
	b.Scratch = b.Scratch[:len(b.Scratch)+len(key)]
	return true, d.addSeries(b, key, c)
}

// check looks for what is wrong with sorted labels, in the order in which Cortex does. cause is the label
// that it is wrong with. size is that of the key.
func (d *Decoder) check(size int) (reason string, cause label) {
	named := slices.IndexFunc(d.labels, func(l label) bool { return string(l.name(d.text)) == metricName })
	switch {
	case named < 0 && (!d.limits.Nameless || len(d.labels) == 0):
		return ReasonMissingMetricName, cause
	case named >= 0 && !utf8.Valid(d.labels[named].value(d.text)):
		return ReasonMetricNameInvalid, d.labels[named]
	case len(d.labels) > d.limits.MaxLabelNames:
		return ReasonTooManyLabels, cause
	case len(d.labels) > d.limits.MaxKeySize/labelSizeMin:
		return ReasonLabelsTooLarge, cause
	}
	for i, l := range d.labels {
		name, value := l.name(d.text), l.value(d.text)
		switch {
		case len(name) == 0 || !utf8.Valid(name):
			return ReasonLabelInvalid, l
		case len(name) > d.limits.MaxNameLength:
			return ReasonNameTooLong, l
		case !utf8.Valid(value):
			return ReasonValueInvalid, l
		case len(value) > d.limits.MaxValueLength:
			return ReasonValueTooLong, l
		case i > 0 && bytes.Equal(d.labels[i-1].name(d.text), name):
			return ReasonDuplicateNames, l
		}
	}
	if size > d.limits.MaxKeySize {
		return ReasonLabelsTooLarge, cause
	}
	return "", cause
}

// expand counts label bytes that are not used where they stand, and reports whether they are still within
// bounds.
func (d *Decoder) expand(size int) bool {
	d.expanded += size
	return d.expanded <= d.limits.MaxBatchSize
}

// scratch returns an empty slice of b.Scratch's free end with room for size bytes and no more. Where there is
// no room, Scratch starts over in a larger array: the keys in the old one keep it alive.
func scratch(b *engine.Batch, size int) []byte {
	n := len(b.Scratch)
	if cap(b.Scratch)-n < size {
		b.Scratch = make([]byte, 0, max(2*cap(b.Scratch), size, 4096))
		n = 0
	}
	return b.Scratch[n : n : n+size]
}

// labelSize is the size of a label field of a canonical key.
func labelSize(name, value int) int {
	n := fieldSize(name) + fieldSize(value)
	return fieldSize(n)
}

func fieldSize(n int) int { return 1 + uvarintSize(n) + n }

func appendLabel(key, name, value []byte) []byte {
	key = append(key, tagLabel)
	key = binary.AppendUvarint(key, uint64(fieldSize(len(name))+fieldSize(len(value))))
	key = append(key, tagName)
	key = binary.AppendUvarint(key, uint64(len(name)))
	key = append(key, name...)
	key = append(key, tagValue)
	key = binary.AppendUvarint(key, uint64(len(value)))
	return append(key, value...)
}

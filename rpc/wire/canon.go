package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"github.com/rekindledb/rekindle/engine"
)

// addUnsorted brings d.labels into canonical form and appends the series, or discards it.
func (d *Decoder) addUnsorted(b *engine.Batch, c *contents) (ok bool, f fault) {
	slices.SortFunc(d.labels, func(x, y label) int { return bytes.Compare(x.name(d.text), y.name(d.text)) })
	size, reason, cause := d.check()
	if reason == "" && c.mustHaveSamples && c.firstSample == len(b.Samples) && c.histograms == 0 {
		reason = ReasonNoSamples
	}
	if reason != "" {
		d.discardSeries(b, c, reason, func() string { return d.describe(reason, cause) })
		return false, faultNone
	}
	key, f := d.scratch(b, size)
	if f != faultNone {
		return false, f
	}
	for _, l := range d.labels {
		key = appendLabel(key, l.name(d.text), l.value(d.text))
	}
	b.Scratch = b.Scratch[:len(b.Scratch)+len(key)]
	return true, d.addSeries(b, key, c)
}

// check looks for what is wrong with sorted labels, in the order in which Cortex does. cause is the label
// that it is wrong with. size is that of the canonical key if all is well.
func (d *Decoder) check() (size int, reason string, cause label) {
	named := slices.IndexFunc(d.labels, func(l label) bool { return string(l.name(d.text)) == metricName })
	if named < 0 {
		return 0, ReasonMissingMetricName, cause
	}
	if !utf8.Valid(d.labels[named].value(d.text)) {
		return 0, ReasonMetricNameInvalid, d.labels[named]
	}
	if len(d.labels) > d.limits.MaxLabelNames {
		return 0, ReasonTooManyLabels, cause
	}
	for i, l := range d.labels {
		name, value := l.name(d.text), l.value(d.text)
		switch {
		case len(name) == 0 || !utf8.Valid(name):
			return 0, ReasonLabelInvalid, l
		case len(name) > d.limits.MaxNameLength:
			return 0, ReasonNameTooLong, l
		case !utf8.Valid(value):
			return 0, ReasonValueInvalid, l
		case len(value) > d.limits.MaxValueLength:
			return 0, ReasonValueTooLong, l
		case i > 0 && bytes.Equal(d.labels[i-1].name(d.text), name):
			return 0, ReasonDuplicateNames, l
		}
		size += labelSize(len(name), len(value))
	}
	if size > d.limits.MaxKeySize {
		return 0, ReasonLabelsTooLarge, cause
	}
	return size, "", cause
}

// scratch returns an empty slice of b.Scratch's free end with room for size bytes and no more. Where there is
// no room, Scratch starts over in a larger array: the keys in the old one keep it alive.
func (d *Decoder) scratch(b *engine.Batch, size int) ([]byte, fault) {
	d.scratched += size
	if d.scratched > d.limits.MaxBatchSize {
		return nil, faultBatchSize
	}
	n := len(b.Scratch)
	if cap(b.Scratch)-n < size {
		b.Scratch = make([]byte, 0, max(2*cap(b.Scratch), size, 4096))
		n = 0
	}
	return b.Scratch[n : n : n+size], faultNone
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

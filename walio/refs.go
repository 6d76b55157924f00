package walio

import (
	"encoding/binary"
	"errors"
)

// Records of other kinds than series and float samples are not interpreted here. Only their references are
// looked at: which stripes a record is for, and which indexes are taken.

func isOther(typ byte) bool {
	switch typ {
	case recordTombstones, recordExemplars, recordMetadata,
		recordHistograms, recordFloatHistograms, recordCustomHistograms, recordCustomFloatHistograms:
		return true
	}
	return false
}

var errOther = errors.New("malformed or unknown record")

// recordRefs calls visit for every reference in rec, which has at least one byte. visit returns false for
// a reference that cannot be.
func recordRefs(rec []byte, visit func(ref uint64) bool) error {
	d := decoder{rec[1:]}
	var entry func() // skips what follows an entry's reference and time
	switch rec[0] {
	case recordTombstones:
		for len(d.b) > 0 {
			ref := d.be64()
			d.varint()
			d.varint()
			if d.b == nil || !visit(ref) {
				return errOther
			}
		}
		return d.finish()
	case recordMetadata:
		for len(d.b) > 0 {
			ref := d.uvarint()
			d.byte()
			for n := d.uvarint(); n > 0 && d.b != nil; n-- {
				d.bytes(recordDecodedMax)
				d.bytes(recordDecodedMax)
			}
			if d.b == nil || !visit(ref) {
				return errOther
			}
		}
		return d.finish()
	case recordExemplars:
		entry = func() {
			d.skip(8)
			for n := d.uvarint(); n > 0 && d.b != nil; n-- {
				d.bytes(recordDecodedMax)
				d.bytes(recordDecodedMax)
			}
		}
	case recordHistograms, recordCustomHistograms:
		entry = func() { d.skipHistogram(false) }
	case recordFloatHistograms, recordCustomFloatHistograms:
		entry = func() { d.skipHistogram(true) }
	default:
		return errOther
	}
	if len(d.b) == 0 {
		return nil // a record without entries is legal
	}
	base := d.be64()
	d.be64() // base time
	for len(d.b) > 0 {
		ref := base + uint64(d.varint())
		d.varint()
		entry()
		if d.b == nil || !visit(ref) {
			return errOther
		}
	}
	return d.finish()
}

// skipHistogram skips one histogram, with integer or with float counts.
func (d *decoder) skipHistogram(float bool) {
	d.byte() // counter reset hint
	schema := d.varint()
	d.skip(8) // zero threshold
	if float {
		d.skip(8 + 8) // zero count, count
	} else {
		d.uvarint()
		d.uvarint()
	}
	d.skip(8)     // sum
	for range 2 { // positive and negative spans
		for n := d.uvarint(); n > 0 && d.b != nil; n-- {
			d.varint()
			d.uvarint()
		}
	}
	for range 2 { // positive and negative buckets
		n := d.uvarint()
		if float {
			d.skipItems(n, 8)
			continue
		}
		for ; n > 0 && d.b != nil; n-- {
			d.varint()
		}
	}
	if schema == customBucketsSchema {
		d.skipItems(d.uvarint(), 8)
	}
}

const customBucketsSchema = -53

func (d *decoder) be64() uint64 {
	if len(d.b) < 8 {
		d.b = nil
		return 0
	}
	v := binary.BigEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

func (d *decoder) skip(n int) {
	if len(d.b) < n {
		d.b = nil
		return
	}
	d.b = d.b[n:]
}

func (d *decoder) skipItems(n uint64, size int) {
	if n > uint64(len(d.b)/size) {
		d.b = nil
		return
	}
	d.b = d.b[int(n)*size:]
}

// finish says whether everything read was well-formed.
func (d *decoder) finish() error {
	if d.b == nil {
		return errOther
	}
	return nil
}

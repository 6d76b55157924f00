package walio

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Label sets come in two encodings. In memory and on the wire a series' key is canonical:
//
//	for each label   0x0a  uvarint(size of the label)  0x0a uvarint(size) name  0x12 uvarint(size) value
//
// and in a Series record it is
//
//	ref (8 bytes, big-endian)  uvarint(number of labels)  for each label  uvarint(size) name  uvarint(size) value

const (
	tagLabel = 0x0a
	tagName  = 0x0a
	tagValue = 0x12
)

var errKey = errors.New("not a canonical label set")

// appendSeries appends one series of a Series record.
func appendSeries(dst []byte, ref uint64, key []byte) ([]byte, error) {
	n := 0
	for rest := key; len(rest) > 0; n++ {
		label, ok := cutField(&rest, tagLabel)
		if !ok || len(label) == 0 {
			return dst, errKey
		}
	}
	dst = slices.Grow(dst, 8+binary.MaxVarintLen64+len(key)) // lengths are as long as in the key, and there are fewer tags
	dst = binary.BigEndian.AppendUint64(dst, ref)
	dst = binary.AppendUvarint(dst, uint64(n))
	for rest := key; len(rest) > 0; {
		label, _ := cutField(&rest, tagLabel)
		if !cutShortPair(&dst, label) {
			name, ok1 := cutField(&label, tagName)
			value, ok2 := cutField(&label, tagValue)
			if !ok1 || !ok2 || len(label) > 0 {
				return dst, errKey
			}
			dst = binary.AppendUvarint(dst, uint64(len(name)))
			dst = append(dst, name...)
			dst = binary.AppendUvarint(dst, uint64(len(value)))
			dst = append(dst, value...)
		}
	}
	return dst, nil
}

// cutShortPair appends name and value, each with its length, of a label whose lengths take a byte each, which nearly all do. For others it
// appends nothing and returns false.
func cutShortPair(dst *[]byte, label []byte) bool {
	if len(label) < 4 || label[0] != tagName || label[1] >= 0x80 {
		return false
	}
	name := 2 + int(label[1])
	if name+1 >= len(label) || label[name] != tagValue || label[name+1] >= 0x80 || name+2+int(label[name+1]) != len(label) {
		return false
	}
	*dst = append(append(*dst, label[1:name]...), label[name+1:]...)
	return true
}

// cutField cuts one length-delimited field with the given tag off the front of b.
func cutField(b *[]byte, tag byte) ([]byte, bool) {
	if len(*b) == 0 || (*b)[0] != tag {
		return nil, false
	}
	return cutBytes(b, 1)
}

// cutBytes skips skip bytes of b and cuts off a uvarint and as many bytes as it says.
func cutBytes(b *[]byte, skip int) ([]byte, bool) {
	if len(*b) > skip && (*b)[skip] < 0x80 { // the size takes one byte, which nearly all do
		from := skip + 1
		to := from + int((*b)[skip])
		if to > len(*b) {
			return nil, false
		}
		field := (*b)[from:to]
		*b = (*b)[to:]
		return field, true
	}
	size, n := binary.Uvarint((*b)[skip:])
	if n <= 0 || size > uint64(len(*b)-skip-n) {
		return nil, false
	}
	from := skip + n
	field := (*b)[from : from+int(size)]
	*b = (*b)[from+int(size):]
	return field, true
}

var errSeriesRecord = errors.New("malformed Series record")

// cutSeries cuts one series off the front of a Series record's body and appends its canonical key to dst.
func cutSeries(body, dst []byte) (ref uint64, rest, out []byte, err error) {
	if len(body) < 8 {
		return 0, nil, dst, errSeriesRecord
	}
	ok := false
	ref, rest = binary.BigEndian.Uint64(body), body[8:]
	n, size := binary.Uvarint(rest)
	if size <= 0 || n > uint64(len(rest)) {
		return 0, nil, dst, errSeriesRecord
	}
	rest = rest[size:]
	for ; n > 0; n-- {
		if dst, rest, ok = cutShortLabel(rest, dst); ok {
			continue
		}
		name, ok1 := cutBytes(&rest, 0)
		value, ok2 := cutBytes(&rest, 0)
		if !ok1 || !ok2 {
			return 0, nil, dst, errSeriesRecord
		}
		dst = appendLabel(dst, name, value)
	}
	return ref, rest, dst, nil
}

// cutShortLabel does it for one label whose lengths take a byte each, which nearly all do: name and value are copied
// with theirs. For others it returns false, and what it was given.
func cutShortLabel(body, dst []byte) (out, rest []byte, ok bool) {
	if len(body) == 0 {
		return dst, body, false
	}
	name := 1 + int(body[0])
	if name >= len(body) {
		return dst, body, false
	}
	end := name + 1 + int(body[name])
	if end+2 >= 0x80 || end > len(body) {
		return dst, body, false
	}
	n := len(dst)
	out = slices.Grow(dst, end+4)[:n+end+4]
	field := out[n:]
	field[0], field[1], field[2] = tagLabel, byte(end+2), tagName
	copy(field[3:], body[:name])
	field[3+name] = tagValue
	copy(field[4+name:], body[name:end])
	return out, body[end:], true
}

func appendLabel(dst, name, value []byte) []byte {
	size := 2 + uvarintSize(len(name)) + len(name) + uvarintSize(len(value)) + len(value)
	dst = append(dst, tagLabel)
	dst = binary.AppendUvarint(dst, uint64(size))
	dst = append(dst, tagName)
	dst = binary.AppendUvarint(dst, uint64(len(name)))
	dst = append(dst, name...)
	dst = append(dst, tagValue)
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

func uvarintSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

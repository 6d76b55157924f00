package pb

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

var errWireType = errors.New("another wire type than in its definition")

// field is one field of a message.
type field struct {
	num  protowire.Number
	typ  protowire.Type
	n    uint64 // of a varint
	data []byte // of a string, bytes or a message
}

// Each calls take for every field of m: with n if it is a varint, with data if it is a string, bytes or a message. What
// take returns is an error of that field.
func Each(message string, m []byte, take func(num protowire.Number, n uint64, data []byte) error) error {
	return each(message, m, func(f field) error { return take(f.num, f.n, f.data) })
}

// each calls take for every field of m. What take returns is an error of that field.
func each(message string, m []byte, take func(f field) error) error {
	for len(m) > 0 {
		num, typ, n := protowire.ConsumeTag(m)
		if n < 0 {
			return fmt.Errorf("decode %s: tag of a field: %w", message, protowire.ParseError(n))
		}
		m = m[n:]
		f := field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			f.n, n = protowire.ConsumeVarint(m)
		case protowire.BytesType:
			f.data, n = protowire.ConsumeBytes(m)
		default:
			n = protowire.ConsumeFieldValue(num, typ, m)
		}
		if n < 0 {
			return fmt.Errorf("decode %s: field %d: %w", message, num, protowire.ParseError(n))
		}
		m = m[n:]
		if err := take(f); err != nil {
			return fmt.Errorf("decode %s: field %d: %w", message, num, err)
		}
	}
	return nil
}

func (f field) varint() (uint64, error) {
	if f.typ != protowire.VarintType {
		return 0, errWireType
	}
	return f.n, nil
}

func (f field) int64() (int64, error) {
	n, err := f.varint()
	return int64(n), err
}

// bool is also an enum of which only 0 is not meant.
func (f field) bool() (bool, error) {
	n, err := f.varint()
	return n != 0, err
}

func (f field) bytes() ([]byte, error) {
	if f.typ != protowire.BytesType {
		return nil, errWireType
	}
	return f.data, nil
}

func (f field) string() (string, error) {
	b, err := f.bytes()
	return string(b), err
}

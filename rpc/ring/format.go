package ring

import (
	"fmt"
	"maps"
	"slices"

	"github.com/golang/snappy"
	"github.com/grafana/dskit/kv/codec"
	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers, see the package comment.
const (
	fieldIngesters protowire.Number = 1
	fieldMapKey    protowire.Number = 1
	fieldMapValue  protowire.Number = 2

	fieldAddr            protowire.Number = 1
	fieldTimestamp       protowire.Number = 2
	fieldState           protowire.Number = 3
	fieldTokens          protowire.Number = 6
	fieldZone            protowire.Number = 7
	fieldRegistered      protowire.Number = 8
	fieldID              protowire.Number = 9
	fieldReadOnlyUpdated protowire.Number = 10
	fieldReadOnly        protowire.Number = 11
)

// Codec reads and writes the ring for dskit's key-value clients. Its id is what memberlist messages name it by.
type Codec struct{}

var _ codec.Codec = Codec{}

// CodecID implements codec.Codec.
func (Codec) CodecID() string { return "ringDesc" }

// Encode implements codec.Codec.
func (Codec) Encode(v any) ([]byte, error) {
	d, ok := v.(*Desc)
	if !ok {
		return nil, fmt.Errorf("ring: encode a %T", v)
	}
	return snappy.Encode(nil, d.Marshal(nil)), nil
}

// Decode implements codec.Codec.
func (Codec) Decode(b []byte) (any, error) {
	raw, err := snappy.Decode(nil, b)
	if err != nil {
		return nil, fmt.Errorf("ring: decompress the ring: %w", err)
	}
	d := NewDesc()
	if err := d.unmarshal(raw); err != nil {
		return nil, fmt.Errorf("ring: decode the ring: %w", err)
	}
	return d, nil
}

// Marshal appends the ring, instances ordered by id, so that equal rings are equal bytes.
func (d *Desc) Marshal(b []byte) []byte {
	var value, entry []byte
	for _, id := range slices.Sorted(maps.Keys(d.Instances)) {
		in := d.Instances[id]
		value = in.marshal(value[:0])
		entry = appendString(entry[:0], fieldMapKey, id)
		entry = appendBytes(entry, fieldMapValue, value)
		b = appendBytes(b, fieldIngesters, entry)
	}
	return append(b, d.unknown...)
}

func (i *Instance) marshal(b []byte) []byte {
	b = appendString(b, fieldAddr, i.Addr)
	b = appendInt(b, fieldTimestamp, i.Timestamp)
	b = appendInt(b, fieldState, int64(i.State))
	if len(i.Tokens) > 0 {
		var packed []byte
		for _, t := range i.Tokens {
			packed = protowire.AppendVarint(packed, uint64(t))
		}
		b = appendBytes(b, fieldTokens, packed)
	}
	b = appendString(b, fieldZone, i.Zone)
	b = appendInt(b, fieldRegistered, i.Registered)
	b = appendString(b, fieldID, i.ID)
	b = appendInt(b, fieldReadOnlyUpdated, i.ReadOnlyUpdated)
	if i.ReadOnly {
		b = appendInt(b, fieldReadOnly, 1)
	}
	return append(b, i.unknown...)
}

// What is zero is not written, as in proto3.

func appendString(b []byte, n protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), s)
}

func appendBytes(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func appendInt(b []byte, n protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), uint64(v))
}

// field is one field as it was read: either v or data holds its value, raw all of it.
type field struct {
	num  protowire.Number
	typ  protowire.Type
	v    uint64
	data []byte
	raw  []byte
}

// fields calls f with each field of a message.
func fields(b []byte, f func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(num, typ, b[n:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		x := field{num: num, typ: typ, raw: b[:n+size]}
		switch typ {
		case protowire.VarintType:
			x.v, _ = protowire.ConsumeVarint(b[n:])
		case protowire.BytesType:
			x.data, _ = protowire.ConsumeBytes(b[n:])
		}
		if err := f(x); err != nil {
			return err
		}
		b = b[n+size:]
	}
	return nil
}

func (d *Desc) unmarshal(b []byte) error {
	return fields(b, func(f field) error {
		if f.num != fieldIngesters || f.typ != protowire.BytesType {
			d.unknown = append(d.unknown, f.raw...)
			return nil
		}
		var id string
		var in Instance
		err := fields(f.data, func(f field) error {
			switch {
			case f.num == fieldMapKey && f.typ == protowire.BytesType:
				id = string(f.data)
			case f.num == fieldMapValue && f.typ == protowire.BytesType:
				return in.unmarshal(f.data)
			}
			return nil
		})
		d.Instances[id] = in
		return err
	})
}

func (i *Instance) unmarshal(b []byte) error {
	err := fields(b, func(f field) error {
		switch {
		case f.num == fieldTokens && f.typ == protowire.VarintType: // not packed
			i.Tokens = append(i.Tokens, uint32(f.v))
		case f.num == fieldTokens && f.typ == protowire.BytesType:
			return i.unpackTokens(f.data)
		case f.typ == protowire.BytesType && i.setString(f.num, f.data):
		case f.typ == protowire.VarintType && i.setInt(f.num, int64(f.v)):
		default:
			i.unknown = append(i.unknown, f.raw...)
		}
		return nil
	})
	i.Tokens = normal(i.Tokens)
	return err
}

func (i *Instance) setString(n protowire.Number, v []byte) bool {
	switch n {
	case fieldAddr:
		i.Addr = string(v)
	case fieldZone:
		i.Zone = string(v)
	case fieldID:
		i.ID = string(v)
	default:
		return false
	}
	return true
}

func (i *Instance) setInt(n protowire.Number, v int64) bool {
	switch n {
	case fieldTimestamp:
		i.Timestamp = v
	case fieldState:
		i.State = State(v)
	case fieldRegistered:
		i.Registered = v
	case fieldReadOnlyUpdated:
		i.ReadOnlyUpdated = v
	case fieldReadOnly:
		i.ReadOnly = v != 0
	default:
		return false
	}
	return true
}

func (i *Instance) unpackTokens(b []byte) error {
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		i.Tokens = append(i.Tokens, uint32(v))
		b = b[n:]
	}
	return nil
}

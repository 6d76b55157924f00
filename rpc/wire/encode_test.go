package wire

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// odd encodes requests in ways that no sender does and protobuf allows: fields in any order, labels between
// samples, repeated fields, unknown fields and groups, varints and tags with more bytes than needed, default
// values written out. rate is how often, from 0 (never: what a plain sender writes) to 1.
type odd struct {
	rng  *rand.Rand
	rate float64
}

func (o odd) now() bool { return o.rng.Float64() < o.rate }

// uvarint appends v with up to three bytes too many.
func (o odd) uvarint(dst []byte, v uint64) []byte {
	dst = binary.AppendUvarint(dst, v)
	if v < 1<<40 && o.now() {
		for range 1 + o.rng.IntN(3) {
			dst[len(dst)-1] |= 0x80
			dst = append(dst, 0)
		}
	}
	return dst
}

func (o odd) bytes(dst []byte, num int, content []byte) []byte {
	dst = o.uvarint(dst, uint64(num)<<3|wireBytes)
	dst = o.uvarint(dst, uint64(len(content)))
	return append(dst, content...)
}

func (o odd) varint(dst []byte, num int, v uint64) []byte {
	return o.uvarint(o.uvarint(dst, uint64(num)<<3|wireVarint), v)
}

func (o odd) fixed64(dst []byte, num int, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(o.uvarint(dst, uint64(num)<<3|wireFixed64), v)
}

// join puts fields together: as they are, or shuffled and with unknown ones between them.
func (o odd) join(fields [][]byte) []byte {
	if o.now() {
		o.rng.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	}
	var dst []byte
	for _, f := range fields {
		if o.now() {
			dst = o.unknown(dst, 0)
		}
		dst = append(dst, f...)
	}
	return dst
}

func (o odd) unknown(dst []byte, depth int) []byte {
	num := 40 + o.rng.IntN(2000)
	switch o.rng.IntN(5) {
	case 0:
		return o.varint(dst, num, o.rng.Uint64())
	case 1:
		return o.fixed64(dst, num, o.rng.Uint64())
	case 2:
		return o.bytes(dst, num, make([]byte, o.rng.IntN(200)))
	case 3:
		return binary.LittleEndian.AppendUint32(o.uvarint(dst, uint64(num)<<3|wireFixed32), o.rng.Uint32())
	default:
		dst = o.uvarint(dst, uint64(num)<<3|wireGroupStart)
		for depth < 3 && o.rng.IntN(2) == 0 {
			dst = o.unknown(dst, depth+1)
		}
		return o.uvarint(dst, uint64(num)<<3|wireGroupEnd)
	}
}

func (o odd) v1(r modelRequest) []byte {
	var fields [][]byte
	for _, s := range r.series {
		var inner [][]byte
		for _, l := range s.labels {
			pair := [][]byte{o.bytes(nil, 1, []byte(l.name)), o.bytes(nil, 2, []byte(l.value))}
			if o.now() { // the last one counts
				pair = slices.Insert(pair, 0, o.bytes(nil, 1+o.rng.IntN(2), []byte("overridden")))
			}
			if l.value == "" && o.now() {
				pair = pair[:1]
			}
			inner = append(inner, o.bytes(nil, 1, o.join(pair)))
		}
		inner = append(inner, o.samples(s)...)
		for range s.exemplars {
			inner = append(inner, o.bytes(nil, 3, o.fixed64(nil, 2, o.rng.Uint64())))
		}
		for range s.histograms {
			inner = append(inner, o.bytes(nil, 4, o.varint(nil, 15, o.rng.Uint64())))
		}
		fields = append(fields, o.bytes(nil, 1, o.join(inner)))
	}
	for _, md := range r.metadata {
		fields = append(fields, o.bytes(nil, 3, o.join([][]byte{
			o.varint(nil, 1, uint64(md.typ)), o.bytes(nil, 2, []byte(md.family)),
			o.bytes(nil, 4, []byte(md.help)), o.bytes(nil, 5, []byte(md.unit)),
		})))
	}
	return o.join(fields)
}

func (o odd) v2(r modelRequest) []byte {
	symbols := []string{""}
	refs := map[string]uint32{"": 0}
	ref := func(s string) uint32 {
		n, ok := refs[s]
		if !ok {
			n = uint32(len(symbols))
			symbols = append(symbols, s)
			refs[s] = n
		}
		return n
	}
	var fields [][]byte
	for _, s := range r.series {
		var packed, single []byte // the first refs packed, the others one by one
		unpacked := false
		for _, l := range s.labels {
			for _, part := range []string{l.name, l.value} {
				if unpacked = unpacked || o.now(); unpacked {
					single = o.varint(single, 1, uint64(ref(part)))
				} else {
					packed = o.uvarint(packed, uint64(ref(part)))
				}
			}
		}
		if s.badRef {
			single = o.varint(single, 1, math.MaxUint32)
		}
		inner := [][]byte{append(o.bytes(nil, 1, packed), single...)}
		inner = append(inner, o.samples(s)...)
		for range s.histograms {
			inner = append(inner, o.bytes(nil, 3, o.varint(nil, 15, o.rng.Uint64())))
		}
		for range s.exemplars {
			inner = append(inner, o.bytes(nil, 4, o.fixed64(nil, 2, o.rng.Uint64())))
		}
		if md := s.metadata; md != nil {
			inner = append(inner, o.bytes(nil, 5, o.join([][]byte{
				o.varint(nil, 1, uint64(md.typ)), o.varint(nil, 3, uint64(ref(md.help))), o.varint(nil, 4, uint64(ref(md.unit))),
			})))
		}
		fields = append(fields, o.bytes(nil, 5, o.join(inner)))
	}
	table := make([][]byte, len(symbols))
	for i, s := range symbols {
		table[i] = o.bytes(nil, 4, []byte(s))
	}
	if o.now() { // symbols behind what refers to them; their order matters, so they move as one
		return o.join(append(fields, slices.Concat(table...)))
	}
	return o.join(append([][]byte{slices.Concat(table...)}, fields...))
}

func (o odd) samples(s modelSeries) (fields [][]byte) {
	for _, p := range s.samples {
		var parts [][]byte
		if p.V != 0 || o.now() {
			parts = append(parts, o.fixed64(nil, 1, p.V))
		}
		if p.T != 0 || o.now() {
			parts = append(parts, o.varint(nil, 2, uint64(p.T)))
		}
		fields = append(fields, o.bytes(nil, 2, o.join(parts)))
	}
	return fields
}

// randomRequest makes a request of which some series and families are wrong in some way.
func randomRequest(rng *rand.Rand, wrong float64) modelRequest {
	now := func() bool { return rng.Float64() < wrong }
	names := []string{"__name__", "cluster", "container", "instance", "job", "kubernetes_io_app", "kubernetes_io_zone", "kubernetes_name", "le", "method", "namespace", "node", "pod", "route", "status", "ümlaut"}
	text := func() string {
		switch {
		case now():
			return []string{"", "\xff", strings.Repeat("x", 1030), strings.Repeat("é", 1030), "\x00", "\xe2\x82"}[rng.IntN(6)]
		case rng.IntN(8) == 0:
			return strings.Repeat("long", rng.IntN(60)) + "ä"
		default:
			return strings.Repeat("v", 1+rng.IntN(40))
		}
	}
	var r modelRequest
	for range rng.IntN(8) {
		var s modelSeries
		perm := rng.Perm(len(names))[:rng.IntN(len(names))]
		if !now() {
			perm = append(perm, 0)
			slices.Sort(perm)
			perm = slices.Compact(perm)
		}
		for _, i := range perm {
			l := modelLabel{names[i], text()}
			if now() {
				l.name = text()
			}
			s.labels = append(s.labels, l)
		}
		if n := len(s.labels); n > 1 && now() { // all but sorted
			i := rng.IntN(n - 1)
			s.labels[i], s.labels[i+1] = s.labels[i+1], s.labels[i]
		}
		if n := len(s.labels); n > 0 && now() {
			i := rng.IntN(n)
			s.labels = slices.Insert(s.labels, i, s.labels[i])
		}
		if now() {
			for i := range 40 {
				s.labels = append(s.labels, modelLabel{strings.Repeat("z", i), "v"})
			}
		}
		for range []int{1, 1, 1, 0, 3}[rng.IntN(5)] {
			s.samples = append(s.samples, engineSample(rng))
		}
		if now() {
			s.histograms, s.exemplars, s.badRef = rng.IntN(3), rng.IntN(3), rng.IntN(4) == 0
		}
		if rng.IntN(2) == 0 {
			s.metadata = &modelMetadata{help: text(), unit: []string{"", "seconds", "bytes"}[rng.IntN(3)], typ: uint8(rng.IntN(9))}
		}
		r.series = append(r.series, s)
	}
	for range rng.IntN(3) {
		r.metadata = append(r.metadata, modelMetadata{text(), text(), text(), uint8(rng.IntN(9))})
	}
	return r
}

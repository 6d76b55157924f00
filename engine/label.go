package engine

import (
	"encoding/binary"
	"unsafe"

	"github.com/cespare/xxhash/v2"

	"github.com/rekindledb/rekindle/arena"
)

// Labels of a stripe. A name is stored once, a pair (name and value) is stored once, a series has a list of
// its pairs. A pair is kept as the bytes it has in a request, so that comparing a series with a request
// costs one comparison a label and no parsing; a series' key is its pairs' bytes one after another.
//
//	name   pairs List (16) | size u32 | 0 | bytes            the pairs with this name
//	pair   series List (16) | name Ref | size u32 | bytes    the series with this pair, by index
//	set    n u32 | pair Ref * n                              a series' pairs, ordered by name
//
// Names, pairs and sets are never changed (but for the lists) and never moved.
type name struct {
	pairs arena.List
	size  uint32
	_     uint32
}

type pair struct {
	series arena.List
	name   arena.Ref
	size   uint32
}

const (
	nameHead = int(unsafe.Sizeof(name{}))
	pairHead = int(unsafe.Sizeof(pair{}))
	refUnit  = 8

	// maxKeySize bounds a series' canonical label bytes, so that one series cannot use up a stripe.
	maxKeySize = 64 << 10
)

func (s *stripe) nameBytes(r arena.Ref) []byte {
	return s.a.Bytes(r+arena.Ref(nameHead/refUnit), int(arena.At[name](s.a, r).size))
}

func (s *stripe) pairBytes(r arena.Ref) []byte {
	return s.a.Bytes(r+arena.Ref(pairHead/refUnit), int(arena.At[pair](s.a, r).size))
}

// pairsOf returns the pairs of a label set.
func (s *stripe) pairsOf(set arena.Ref) []uint32 {
	return s.a.Uint32s(set, 4, int(*arena.At[uint32](s.a, set)))
}

// appendKey appends the canonical label bytes of a set. Label bytes never change, so no lock is needed by
// who learnt set under it.
func (s *stripe) appendKey(dst []byte, set arena.Ref) []byte {
	for _, p := range s.pairsOf(set) {
		dst = append(dst, s.pairBytes(arena.Ref(p))...)
	}
	return dst
}

// hasKey reports whether a set is the one that key names. Hashes are no identity: there are printable label
// values that collide under almost every seed.
func (s *stripe) hasKey(set []uint32, key []byte) bool {
	for _, p := range set {
		b := s.pairBytes(arena.Ref(p))
		if len(key) < len(b) || string(key[:len(b)]) != string(b) {
			return false
		}
		key = key[len(b):]
	}
	return len(key) == 0
}

// nextPair cuts the first label off a canonical key. ok is false if key is not canonical.
func nextPair(key []byte) (first, rest []byte, ok bool) {
	if len(key) < 2 || key[0] != 0x0a {
		return nil, nil, false
	}
	n, k := binary.Uvarint(key[1:])
	if k <= 0 || n > uint64(len(key)-1-k) {
		return nil, nil, false
	}
	end := 1 + k + int(n)
	return key[:end:end], key[end:], true
}

// splitPair returns name and value of a label's canonical bytes.
func splitPair(b []byte) (name, value []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	_, k := binary.Uvarint(b[1:])
	if k <= 0 {
		return nil, nil, false
	}
	if name, b, ok = lenDelimited(b[1+k:], 0x0a); !ok {
		return nil, nil, false
	}
	value, b, ok = lenDelimited(b, 0x12)
	return name, value, ok && len(b) == 0
}

func lenDelimited(b []byte, tag byte) (v, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil, false
	}
	n, k := binary.Uvarint(b[1:])
	if k <= 0 || n > uint64(len(b)-1-k) {
		return nil, nil, false
	}
	at := 1 + k
	return b[at : at+int(n)], b[at+int(n):], true
}

// validKey reports whether a key can be taken apart again.
func validKey(key []byte) bool {
	ok := len(key) > 0 && len(key) <= maxKeySize
	for before := []byte(nil); ok && len(key) > 0; {
		before, key, ok = nextLabel(key, before)
	}
	return ok
}

// nextLabel cuts the first label off a key and returns its name. ok is false if that does not come behind the name
// before, or the label has no value.
func nextLabel(key, before []byte) (name, rest []byte, ok bool) {
	b, rest, ok := nextPair(key)
	if !ok {
		return nil, nil, false
	}
	name, value, ok := splitPair(b)
	return name, rest, ok && len(value) > 0 && string(name) > string(before)
}

// split looks which labels of a key are those of the series made last: series come target after target, so most are.
// For each label, s.pairs gets the pair that stands at its place there if it has these bytes, else 0. It returns false
// if the key is not valid; s.pairs ends where that shows.
func (s *stripe) split(key []byte) bool {
	s.pairs = s.pairs[:0]
	if len(key) == 0 || len(key) > maxKeySize {
		return false
	}
	var last []uint32
	if s.last != 0 {
		last = s.pairsOf(s.last)
	}
	var (
		before []byte // the name of the label before
		order  = true // it is that of the last series too, so that names ascend there as they do here
	)
	for i := 0; len(key) > 0; i++ {
		if i < len(last) {
			p := arena.At[pair](s.a, arena.Ref(last[i]))
			if b := s.pairBytes(arena.Ref(last[i])); len(key) >= len(b) && string(key[:len(b)]) == string(b) {
				n := s.nameBytes(p.name)
				if !order && string(n) <= string(before) {
					return false
				}
				before, order, key = n, true, key[len(b):]
				s.pairs = append(s.pairs, last[i])
				continue
			}
		}
		var ok bool
		if before, key, ok = nextLabel(key, before); !ok {
			return false
		}
		order = false
		s.pairs = append(s.pairs, 0)
	}
	return true
}

func tagOf(hash uint64) uint32 { return uint32(hash >> 32) }

// findName returns the name with these bytes, or 0.
func (s *stripe) findName(b []byte) arena.Ref {
	for c := s.root.names.Find(s.a, tagOf(xxhash.Sum64(b))); ; {
		r := arena.Ref(c.Next())
		if r == 0 || string(s.nameBytes(r)) == string(b) {
			return r
		}
	}
}

// findPair returns the pair with these canonical bytes, or 0.
func (s *stripe) findPair(b []byte) arena.Ref {
	for c := s.root.pairs.Find(s.a, tagOf(xxhash.Sum64(b))); ; {
		r := arena.Ref(c.Next())
		if r == 0 || string(s.pairBytes(r)) == string(b) {
			return r
		}
	}
}

// internPair returns the pair with these canonical bytes; it makes it, and its name, if it is new.
func (s *stripe) internPair(b []byte) (arena.Ref, error) {
	if r := s.findPair(b); r != 0 {
		return r, nil
	}
	n, _, ok := splitPair(b)
	if !ok {
		return 0, errNotCanonical
	}
	nr, err := s.internName(n)
	if err != nil {
		return 0, err
	}
	r, err := s.a.Alloc(arena.Labels, pairHead+len(b))
	if err != nil {
		return 0, err
	}
	*arena.At[pair](s.a, r) = pair{name: nr, size: uint32(len(b))}
	copy(s.pairBytes(r), b)
	if err := s.root.pairs.Insert(s.a, tagOf(xxhash.Sum64(b)), uint32(r), s.bias); err != nil {
		return 0, err
	}
	if err := arena.At[name](s.a, nr).pairs.Append(s.a, uint32(r)); err != nil {
		return 0, err
	}
	s.a.Touch(nr, nameHead)
	return r, nil
}

// internName returns the name with these bytes; it makes it if it is new.
func (s *stripe) internName(b []byte) (arena.Ref, error) {
	if r := s.findName(b); r != 0 {
		return r, nil
	}
	r, err := s.a.Alloc(arena.Labels, nameHead+len(b))
	if err != nil {
		return 0, err
	}
	*arena.At[name](s.a, r) = name{size: uint32(len(b))}
	copy(s.nameBytes(r), b)
	return r, s.root.names.Insert(s.a, tagOf(xxhash.Sum64(b)), uint32(r), s.bias)
}

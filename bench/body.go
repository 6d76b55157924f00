package bench

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/common/model"
)

// AppendV1 appends samples lo to hi (exclusive) of a scrape as a remote write 1.0 message, not yet
// compressed.
func (f *Feeder) AppendV1(dst []byte, scrape, lo, hi int) []byte {
	for n := lo; n < hi; n++ {
		target, i := f.seek(scrape, n)
		t := f.w.Time(target, scrape)
		own := &f.w.places[i]
		size := len(own.head) + len(f.block) + len(own.tail) + sizeField(sizeSample(t))
		dst = appendSize(append(dst, 0x0a), size)
		dst = f.appendKey(dst, i)
		dst = appendSample(dst, 0x12, t, math.Float64bits(f.w.Value(target, i, scrape)))
	}
	return dst
}

// AppendV2 appends the same samples as a remote write 2.0 message, without metadata. The symbols come first,
// as all senders write them.
func (f *Feeder) AppendV2(dst []byte, scrape, lo, hi int) []byte {
	f.symbols.reset()
	f.refs = f.refs[:0]
	for n := lo; n < hi; n++ {
		_, i := f.seek(scrape, n)
		own := &f.w.places[i]
		f.addRefs(model.MetricNameLabel, own.name)
		for _, l := range f.shared {
			f.addRefs(l.Name, l.Value)
		}
		f.addRefs("route", own.route)
		f.addRefs("status", own.status)
	}
	for _, symbol := range f.symbols.list {
		dst = appendBytesField(dst, 0x22, symbol)
	}
	refs := f.refs
	for n := lo; n < hi; n++ {
		target, i := f.seek(scrape, n)
		t := f.w.Time(target, scrape)
		var own []uint32
		own, refs = refs[:2*f.w.p.Labels], refs[2*f.w.p.Labels:]
		packed := 0
		for _, ref := range own {
			packed += sizeVarint(uint64(ref))
		}
		dst = appendSize(append(dst, 0x2a), sizeField(packed)+sizeField(sizeSample(t)))
		dst = appendSize(append(dst, 0x0a), packed)
		for _, ref := range own {
			dst = binary.AppendUvarint(dst, uint64(ref))
		}
		dst = appendSample(dst, 0x12, t, math.Float64bits(f.w.Value(target, i, scrape)))
	}
	return dst
}

func (f *Feeder) addRefs(name, value string) {
	f.refs = append(f.refs, f.symbols.add(name), f.symbols.add(value))
}

// symbolTable numbers the strings of one remote write 2.0 message in the order in which they come. Number 0
// is the empty string.
type symbolTable struct {
	numbers map[string]uint32
	list    []string
}

func (s *symbolTable) reset() {
	if s.numbers == nil {
		s.numbers = map[string]uint32{}
	}
	clear(s.numbers)
	s.list = append(s.list[:0], "")
	s.numbers[""] = 0
}

func (s *symbolTable) add(text string) uint32 {
	n, ok := s.numbers[text]
	if !ok {
		n = uint32(len(s.list))
		s.list = append(s.list, text)
		s.numbers[text] = n
	}
	return n
}

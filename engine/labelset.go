package engine

import (
	"unsafe"

	"github.com/prometheus/prometheus/model/labels"
)

// labelWriter makes labels of label sets, many in one block of memory. Series that stand next to each other mostly
// come from one target and share most of their pairs: a run of pairs that the set before had in the same places is
// copied as a whole, in the form that it has there, without looking at the pairs.
//
// A label set that outlives the rest of an answer keeps its block alive, at most blockSizeMax bytes.
type labelWriter struct {
	stripe *stripe
	buf    []byte
	pairs  []uint32 // of the set before, in stripe
	before []byte   // what was made of it
	ends   []int    // where each pair ends in it
	spare  []int
}

// blockSizeMax bounds the blocks of memory that an answer is made of: large enough that to make one costs nothing a
// series, small enough that little is kept by those who keep a part.
const blockSizeMax = 64 << 10

// labelsSizeGuess is the room set aside for a label set as long as none was seen.
const labelsSizeGuess = 256

// Labels are one string: name and value in turn, each behind its length (labels_stringlabels.go). The size is
// checked here, the contents by a test.
var _ [unsafe.Sizeof("")]byte = [unsafe.Sizeof(labels.Labels{})]byte{}

// write makes the labels of a set of s. Needs no lock. more is how many sets will follow, at a guess.
func (w *labelWriter) write(s *stripe, pairs []uint32, more int) labels.Labels {
	if s != w.stripe {
		w.stripe, w.pairs = s, w.pairs[:0]
	}
	if guess := len(w.before) + len(w.before)/4; cap(w.buf)-len(w.buf) < guess || w.buf == nil {
		w.buf = make([]byte, 0, max(min((more+1)*max(guess, labelsSizeGuess), blockSizeMax), guess))
	}
	first := len(w.buf)
	ends := w.spare[:0]
	for i := 0; i < len(pairs); {
		run := i
		for run < min(len(pairs), len(w.pairs)) && pairs[run] == w.pairs[run] {
			run++
		}
		if run > i {
			from := 0
			if i > 0 {
				from = w.ends[i-1]
			}
			shift := len(w.buf) - first - from
			w.buf = append(w.buf, w.before[from:w.ends[run-1]]...)
			for ; i < run; i++ {
				ends = append(ends, w.ends[i]+shift)
			}
			continue
		}
		w.buf = appendLabel(w.buf, s.pairBytes(refOf(pairs[i])))
		ends = append(ends, len(w.buf)-first)
		i++
	}
	w.pairs, w.ends, w.spare = append(w.pairs[:0], pairs...), ends, w.ends
	made := w.buf[first:len(w.buf):len(w.buf)]
	w.before = made
	if len(made) == 0 {
		return labels.EmptyLabels()
	}
	text := bytesString(made) // nobody changes these bytes
	return *(*labels.Labels)(unsafe.Pointer(&text))
}

// appendLabel appends a pair in the form that labels have: the lengths differ from those of the canonical form where
// they take more than a byte, which is rare, and there is nothing else around name and value.
func appendLabel(dst, pair []byte) []byte {
	const single = 0x80 // lengths below take a byte in both forms
	if n := len(pair); n < single && n > 5 {
		if v := 4 + int(pair[3]); v+1 < n && pair[2] == 0x0a && pair[v] == 0x12 && int(pair[v+1]) == n-v-2 {
			return append(append(dst, pair[3:v]...), pair[v+1:]...)
		}
	}
	n, v, _ := splitPair(pair)
	return appendLabelString(appendLabelString(dst, n), v)
}

// appendLabelString appends a name or a value as labels have them: behind its length, of one byte up to 254.
func appendLabelString(dst, b []byte) []byte {
	if n := len(b); n < 255 {
		dst = append(dst, byte(n))
	} else {
		dst = append(dst, 255, byte(n), byte(n>>8), byte(n>>16))
	}
	return append(dst, b...)
}

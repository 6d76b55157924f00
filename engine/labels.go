package engine

import (
	"unsafe"

	"github.com/prometheus/prometheus/model/labels"
)

// bytesString is b as a string that is gone when b is. The labels package as it is built here (stringlabels)
// copies all strings into one when a label set is finished; a test keeps that true.
func bytesString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// keyLabels makes labels of a canonical key. What is not canonical is left out.
func keyLabels(key []byte) labels.Labels {
	var b labels.ScratchBuilder
	for len(key) > 0 {
		p, rest, ok := nextPair(key)
		if !ok {
			break
		}
		if n, v, ok := splitPair(p); ok {
			b.Add(bytesString(n), bytesString(v))
		}
		key = rest
	}
	return b.Labels()
}

package walio

import (
	"math"
	"math/bits"
)

// window holds one extent decoded to columns. Samples stay where decoding put them, in log order: a commit
// holds its stripes one after another, so each stripe gets a few ranges and nothing is copied again.
type window struct {
	extent extent

	series  []SeriesDef
	samples []RefSample
	bytes   []byte // keys and raw records
	runs    [stripesMax][]Run

	maxIndex [stripesMax]uint64
	counts   Totals // read, whether or not a stripe needed it
	applied  Totals
	commits  uint64
	partial  []partialCommit
	err      error
}

// partialCommit is a commit of which some records were unreadable.
type partialCommit struct {
	commit     uint64
	lost       Totals
	minT, maxT int64
}

func (w *window) reset(e extent) {
	w.extent = e
	w.series, w.samples, w.bytes = w.series[:0], w.samples[:0], w.bytes[:0]
	for i := range w.runs {
		w.runs[i] = w.runs[i][:0]
	}
	w.maxIndex = [stripesMax]uint64{}
	w.counts, w.applied, w.commits = Totals{}, Totals{}, 0
	w.partial, w.err = w.partial[:0], nil
}

// filter says which commits of which stripes are applied.
type filter struct {
	stripes int
	shift   uint
	// from, by stripe: only later commits.
	from []uint64
}

func newFilter(stripes uint32, from []uint64) filter {
	f := filter{stripes: int(stripes), shift: uint(bits.TrailingZeros32(stripes)), from: make([]uint64, stripesMax)}
	copy(f.from, from)
	return f
}

func (f *filter) stripe(ref uint64) int { return int(ref & uint64(f.stripes-1)) }

// valid says that ref has an index from 1 to 2^32-1 and lies below 2^40.
func (f *filter) valid(ref uint64) bool {
	index := ref >> f.shift
	return index != 0 && index <= math.MaxUint32 && ref < 1<<refBits
}

// addRun adds a range to a stripe's runs, to the last one if it goes on there.
func (w *window) addRun(stripe int, kind RunKind, lo, hi int) {
	runs := w.runs[stripe]
	if n := len(runs); n > 0 && runs[n-1].Kind == kind && runs[n-1].Hi == uint32(lo) {
		runs[n-1].Hi = uint32(hi)
		return
	}
	w.runs[stripe] = append(runs, Run{Kind: kind, Lo: uint32(lo), Hi: uint32(hi)})
}

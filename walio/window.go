package walio

import (
	"math"
	"math/bits"
	"unsafe"

	"github.com/rekindledb/rekindle/arena"
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
	if e.counts.Series == 0 {
		w.series, w.bytes = nil, nil // a flood of new series is mostly followed by none
	}
	for i := range w.runs {
		w.runs[i] = w.runs[i][:0]
	}
	w.maxIndex = [stripesMax]uint64{}
	w.counts, w.applied, w.commits = Totals{}, Totals{}, 0
	w.partial = w.partial[:0]
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
func (w *window) addRun(stripe int, kind RunKind, lo, hi int, base int64) {
	runs := w.runs[stripe]
	if n := len(runs); n > 0 && runs[n-1].Kind == kind && runs[n-1].Hi == uint32(lo) && runs[n-1].Base == base {
		runs[n-1].Hi = uint32(hi)
		return
	}
	w.runs[stripe] = append(runs, Run{Kind: kind, Lo: uint32(lo), Hi: uint32(hi), Base: base})
}

// sampleMemory is an array of samples outside the Go heap: on it the collector would let it double.
type sampleMemory struct {
	region *arena.Region
	heap   []RefSample // where the system gives no region
}

// get returns room for n samples, with anything in it. What an earlier call returned is gone.
func (m *sampleMemory) get(n int) []RefSample {
	const size = unsafe.Sizeof(RefSample{})
	if m.region != nil && m.region.Committed() >= uint64(n)*uint64(size) {
		b := m.region.Bytes()
		return unsafe.Slice((*RefSample)(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))/size)[:n:n]
	}
	m.release()
	region, err := arena.Reserve(uint64(n) * uint64(size))
	if err == nil {
		if err = region.CommitFilled(uint64(n) * uint64(size)); err == nil {
			m.region = region
			return m.get(n)
		}
		_ = region.Release()
	}
	if cap(m.heap) < n {
		m.heap = make([]RefSample, n)
	}
	return m.heap[:n:n]
}

func (m *sampleMemory) release() {
	if m.region != nil {
		_ = m.region.Release()
		m.region = nil
	}
}

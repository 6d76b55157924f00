package walio

import (
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/rekindledb/rekindle/arena"
)

// window holds one extent decoded to columns. A stripe gets ranges of them; what it gets is in log order.
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
		w.series = nil // a flood of new series is mostly followed by none
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

// group moves the samples to place, stripe by stripe. In the order of the log a stripe has a few from each commit,
// here and there, and whoever reads them waits for memory at every commit.
func (w *window) group(place []RefSample) {
	from := w.samples
	to := slices.Grow(place[:0], len(from))
	for s, runs := range w.runs {
		grouped := runs[:0]
		for _, r := range runs {
			if r.Kind == RunSamples {
				lo := uint32(len(to))
				to = append(to, from[r.Lo:r.Hi]...)
				r.Lo, r.Hi = lo, uint32(len(to))
				if n := len(grouped); n > 0 && grouped[n-1].Kind == RunSamples && grouped[n-1].Base == r.Base {
					grouped[n-1].Hi = r.Hi
					continue
				}
			}
			grouped = append(grouped, r)
		}
		clear(runs[len(grouped):])
		w.runs[s] = grouped
	}
	w.samples = to
}

// roundMemory is where the samples and the keys of a round are, outside the Go heap: on it the collector would let it
// double.
type roundMemory struct {
	region *arena.Region
	heap   []RefSample // where the system gives no region
}

const sampleSize = int(unsafe.Sizeof(RefSample{}))

func (m *roundMemory) holds(n int) bool {
	return cap(m.heap) >= n || m.region != nil && m.region.Committed() >= uint64(n)*uint64(sampleSize)
}

// get returns room for n samples, with anything in it. What an earlier call returned is the same memory, or gone if it
// did not hold as many.
func (m *roundMemory) get(n int) []RefSample {
	if !m.holds(n) {
		m.grow(n)
	}
	if m.region != nil {
		return samplesIn(m.region.Bytes())[:n:n]
	}
	return m.heap[:n:n]
}

func (m *roundMemory) grow(n int) {
	m.release()
	size := uint64(n) * uint64(sampleSize)
	region, err := arena.Reserve(size)
	if err == nil {
		if err = region.CommitFilled(size); err == nil {
			m.region = region
			return
		}
		_ = region.Release()
	}
	m.heap = make([]RefSample, n)
}

func (m *roundMemory) release() {
	if m.region != nil {
		_ = m.region.Release()
	}
	*m = roundMemory{}
}

func samplesIn(b []byte) []RefSample {
	return unsafe.Slice((*RefSample)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/sampleSize)
}

func bytesIn(m []RefSample) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(m))), len(m)*sampleSize)
}

package walio

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Batch is one commit being built. Source.Drain fills it, stripe after stripe; its memory is reused from
// commit to commit. Nothing is compressed or written while a Batch is filled, so the stripe's lock may be
// held meanwhile.
//
// Series records are put before everything else of the commit, in the order of the calls. Samples and
// other records follow in the order of the calls: a series that changes kind inside a commit keeps the
// order of its entries.
type Batch struct {
	series, data records

	// The open Samples run: a record of data that has no end yet.
	open     bool
	openN    int
	baseRef  uint64
	baseTime int64

	counts     Totals
	minT, maxT int64
	forced     bool
}

// records is a column of encoded records: bytes and where each record ends.
type records struct {
	bytes []byte
	ends  []int
}

func (r *records) reset() { r.bytes, r.ends = reuse(r.bytes), r.ends[:0] }

// reuse empties a buffer and keeps its memory, unless a flood has made it much larger than it is needed now.
func reuse(b []byte) []byte {
	if cap(b) > reuseMax && len(b) < cap(b)/4 {
		return nil
	}
	return b[:0]
}

const reuseMax = 8 << 20

// end finishes the record that begins after the last end.
func (r *records) end() { r.ends = append(r.ends, len(r.bytes)) }

func (r *records) openSize() int {
	if len(r.ends) == 0 {
		return len(r.bytes)
	}
	return len(r.bytes) - r.ends[len(r.ends)-1]
}

func (b *Batch) reset() {
	b.series.reset()
	b.data.reset()
	b.open, b.openN = false, 0
	b.counts = Totals{}
	b.minT, b.maxT = math.MaxInt64, math.MinInt64
	b.forced = false
}

// finish ends the records that are still open.
func (b *Batch) finish() {
	b.endRun()
	b.endSeries()
}

func (b *Batch) endSeries() {
	if b.series.openSize() > 0 {
		b.series.end()
	}
}

func (b *Batch) empty() bool {
	return !b.forced && len(b.series.bytes) == 0 && len(b.data.bytes) == 0
}

// Series adds a new series. key is its label set in canonical form (engine.BatchSeries.Key); it must be
// well-formed, anything else is a fault of this program and panics. A reference is named once in the life
// of a log, before any entry that mentions it.
func (b *Batch) Series(ref uint64, key []byte) {
	s := &b.series
	if s.openSize()+8+len(key) > recordSizeMax {
		b.endSeries()
	}
	if s.openSize() == 0 {
		s.bytes = append(s.bytes, recordSeries)
	}
	var err error
	if s.bytes, err = appendSeries(s.bytes, ref, key); err != nil {
		panic(fmt.Sprintf("walio: series %d with key %x: %v", ref, key, err))
	}
	b.counts.Series++
}

// sampleSizeMax is two varints of at most 10 bytes and a value.
const sampleSizeMax = 2*binary.MaxVarintLen64 + 8

// Sample adds one float sample; v are the bits of the float64. Consecutive calls make a run, which is
// written as records of at most 4000 samples.
func (b *Batch) Sample(ref uint64, t int64, v uint64) {
	if !b.open || b.openN == samplesPerRecord {
		b.startRun(ref, t)
	}
	b.openN++
	b.minT, b.maxT = min(b.minT, t), max(b.maxT, t)

	buf := b.data.bytes
	n := len(buf)
	if cap(buf)-n < sampleSizeMax {
		buf = growBytes(buf, sampleSizeMax)
	}
	p := buf[n : n+sampleSizeMax : n+sampleSizeMax]
	i := putVarint(p, int64(ref-b.baseRef))
	i += putVarint(p[i:], t-b.baseTime)
	binary.BigEndian.PutUint64(p[i:], v)
	b.data.bytes = buf[:n+i+8]
}

func (b *Batch) startRun(ref uint64, t int64) {
	b.endRun()
	b.open, b.baseRef, b.baseTime = true, ref, t
	b.data.bytes = append(b.data.bytes, recordSamples)
	b.data.bytes = binary.BigEndian.AppendUint64(b.data.bytes, ref)
	b.data.bytes = binary.BigEndian.AppendUint64(b.data.bytes, uint64(t))
}

func (b *Batch) endRun() {
	if !b.open {
		return
	}
	b.data.end()
	b.counts.Samples += uint64(b.openN)
	b.open, b.openN = false, 0
}

// Record adds an encoded record of another kind (tombstones, exemplars, metadata, histograms), as
// tsdb/record encodes it. It ends the run of samples before it. Anything else is a fault of this program
// and panics: recovery would count it as damage.
func (b *Batch) Record(rec []byte) {
	if len(rec) == 0 || !isOther(rec[0]) {
		panic(fmt.Sprintf("walio: record %x is not of a kind that Record takes", rec[:min(len(rec), 16)]))
	}
	b.endRun()
	b.data.bytes = append(b.data.bytes, rec...)
	b.data.end()
	b.counts.Others++
}

// Force makes the commit be written, and its number used, even if it holds nothing: an image was taken in it.
func (b *Batch) Force() { b.forced = true }

// putVarint is binary.PutVarint with the short cases first: nearly all references and times of a commit
// lie within 2^20 of the first one's.
func putVarint(p []byte, x int64) int {
	u := uint64(x)<<1 ^ uint64(x>>63)
	switch {
	case u < 1<<7:
		p[0] = byte(u)
		return 1
	case u < 1<<14:
		_ = p[1]
		p[0], p[1] = byte(u)|0x80, byte(u>>7)
		return 2
	case u < 1<<21:
		_ = p[2]
		p[0], p[1], p[2] = byte(u)|0x80, byte(u>>7)|0x80, byte(u>>14)
		return 3
	}
	return binary.PutUvarint(p, u)
}

// growBytes returns b with room for n more bytes, at least doubled.
func growBytes(b []byte, n int) []byte {
	c := make([]byte, len(b), max(2*cap(b), len(b)+n, 1<<12))
	copy(c, b)
	return c
}

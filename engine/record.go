package engine

import (
	"unsafe"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/engine/xor"
)

// A series record: one cache line. Everything an append touches, next to the open chunk's bytes, is here.
// It is layout: what these 64 bytes mean is part of the image format (ckpt layout version).
//
//	0       32     36    40          48    52          56    57   58    59   60    64
//	+-------+------+-----+-----------+-----+-----------+-----+----+-----+----+-----+
//	| state |labels|chunk| link      | ext | last seen |  0  |kind|flags|  0 |index|
//	+-------+------+-----+-----------+-----+-----------+-----+----+-----+----+-----+
//	                  |
//	                  v
//	   block       block          the open chunk, a cache line for each 60 bytes of it (xor.Block)
//	  +--------+  +--------+
//	  |0| data |<-|.| data |
//	  +--------+  +--------+
//
// An append goes to the last block, and where in it follows from state.Bits. Chunks grow by linking a block behind it:
// nothing is moved, and series that grow at one time leave no holes.
type record struct {
	state    xor.State // the open chunk's appender; state.T and state.V are the newest sample's
	labels   arena.Ref // label set
	chunk    arena.Ref // the open chunk's last block; 0 if state.N is 0
	link     link      // the newest closed chunk, 0 = none
	ext      arena.Ref // state that does not fit: histogram appenders, a second open chunk. 0 = none
	lastSeen uint32    // wall clock of the last accepted sample, seconds since the epoch
	_        uint8     // layout 1: size class of chunk
	kind     uint8     // what the open chunk holds: chunkenc's encoding byte; kindXOR is the only one yet
	flags    uint8
	_        uint8
	index    uint32
}

const recordSize = 64

var _ [recordSize]byte = [unsafe.Sizeof(record{})]byte{}

// Encodings, as chunkenc numbers them.
const kindXOR = 1

// Flags of a record.
const (
	// flagFirstChunk: the series has closed no chunk since it was created. The first one closes early, by a
	// function of the index, so that series that were born together don't close their chunks together.
	flagFirstChunk = 1 << iota
)

const (
	// maxSamplesPerChunk is where a chunk closes, as in Prometheus.
	maxSamplesPerChunk = 120
	// blockRange is the time a block covers. No chunk crosses k*blockRange.
	blockRange = 2 * 60 * 60 * 1000
)

// firstChunkSamples is where the first chunk of the series with this index closes.
func firstChunkSamples(index uint32) uint16 {
	return maxSamplesPerChunk/2 + uint16(index%(maxSamplesPerChunk/2))
}

// rangeOf is the number of the block range that t is in.
func rangeOf(t int64) int64 {
	r := t / blockRange
	if t%blockRange < 0 {
		r--
	}
	return r
}

// limit is how many samples the open chunk takes.
func (r *record) limit() int {
	if r.flags&flagFirstChunk != 0 {
		return int(firstChunkSamples(r.index))
	}
	return maxSamplesPerChunk
}

// full reports whether a sample at t must begin a new chunk.
func (r *record) full(t int64) bool {
	return int(r.state.N) >= r.limit() || rangeOf(t) != rangeOf(r.state.T)
}

// room is how many of the samples, which are newer than the newest one and in order, go into the open chunk.
func (r *record) room(samples []xor.Sample) int {
	if r.chunk == 0 {
		return 0
	}
	n := max(0, min(len(samples), r.limit()-int(r.state.N)))
	// Most often all of them are in the newest one's range.
	for here := rangeOf(r.state.T); n > 0 && rangeOf(samples[n-1].T) != here; {
		n--
	}
	return n
}

// tail is what an append stores to; 0 if there is no open chunk.
func (r *record) tail() arena.Ref { return r.chunk }

// link is where a closed chunk lies: file id in the upper 24 bits, offset in the lower 40. 0 = none: every
// file begins with a header.
type link uint64

const linkOffsetBits = 40

func makeLink(file uint32, off int64) link { return link(uint64(file)<<linkOffsetBits | uint64(off)) }

func (l link) file() uint32  { return uint32(l >> linkOffsetBits) }
func (l link) offset() int64 { return int64(l & (1<<linkOffsetBits - 1)) }

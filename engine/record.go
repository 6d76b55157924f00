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
//	| state |labels|chunk| link      | ext | last seen |class|kind|flags|  0 |index|
//	+-------+------+-----+-----------+-----+-----------+-----+----+-----+----+-----+
type record struct {
	state    xor.State // the open chunk's appender; state.T and state.V are the newest sample's
	labels   arena.Ref // label set
	chunk    arena.Ref // the open chunk's bytes; 0 if state.N is 0
	link     link      // the newest closed chunk, 0 = none
	ext      arena.Ref // state that does not fit: histogram appenders, a second open chunk. 0 = none
	lastSeen uint32    // wall clock of the last accepted sample, seconds since the epoch
	class    uint8     // size class of chunk
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

// full reports whether a sample at t must begin a new chunk.
func (r *record) full(t int64) bool {
	limit := uint16(maxSamplesPerChunk)
	if r.flags&flagFirstChunk != 0 {
		limit = firstChunkSamples(r.index)
	}
	return r.state.N >= limit || rangeOf(t) != rangeOf(r.state.T)
}

// tail is where the open chunk goes on; 0 if there is none.
func (r *record) tail() arena.Ref {
	if r.chunk == 0 {
		return 0
	}
	return r.chunk + arena.Ref(r.state.Bits/8/refUnit)
}

// link is where a closed chunk lies: file id in the upper 24 bits, offset in the lower 40. 0 = none: every
// file begins with a header.
type link uint64

const linkOffsetBits = 40

func makeLink(file uint32, off int64) link { return link(uint64(file)<<linkOffsetBits | uint64(off)) }

func (l link) file() uint32  { return uint32(l >> linkOffsetBits) }
func (l link) offset() int64 { return int64(l & (1<<linkOffsetBits - 1)) }

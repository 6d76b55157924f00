package promstore

import (
	"fmt"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/rekindledb/rekindle/engine"
)

// chunkIterator passes on the chunks of one series. It implements chunks.Iterator.
type chunkIterator struct {
	series *series
	rest   []engine.Chunk

	at      chunks.Meta
	made    []chunkenc.XORChunk // not given out yet
	last    int                 // how many were made at a time
	encoded chunks.Iterator     // over a chunk that was cut, nil outside of one
	err     error
}

func (it *chunkIterator) reset(s *series) {
	*it = chunkIterator{series: s, rest: s.data.Chunks, made: it.made, last: it.last}
}

// Next implements chunks.Iterator.
func (it *chunkIterator) Next() bool {
	for it.err == nil {
		if it.encoded != nil {
			if it.encoded.Next() {
				it.at = it.encoded.At()
				return true
			}
			it.err = it.encoded.Err()
			it.encoded = nil
			continue
		}
		if len(it.rest) == 0 {
			return false
		}
		c := &it.rest[0]
		it.rest = it.rest[1:]
		w := it.series.window
		switch {
		case c.MaxT < w.mint || c.MinT > w.maxt:
		case c.MinT >= w.mint && c.MaxT <= w.maxt:
			it.err = it.pass(c)
			return it.err == nil
		default:
			it.encoded = it.cut(c)
		}
	}
	return false
}

// pass makes c, as it is, the current chunk. The Meta keeps the chunk object, so each gets its own.
func (it *chunkIterator) pass(c *engine.Chunk) error {
	if err := checkChunk(c, it.series.data.Labels); err != nil {
		return err
	}
	chunk, err := it.wrap(c)
	if err != nil {
		return fmt.Errorf("promstore: read series %s: %w", it.series.data.Labels, err)
	}
	it.at = chunks.Meta{MinTime: c.MinT, MaxTime: c.MaxT, Chunk: chunk}
	return nil
}

// wrap makes c a chunk of chunkenc. Those of floats, which are many, are made some at a time.
func (it *chunkIterator) wrap(c *engine.Chunk) (chunkenc.Chunk, error) {
	if c.Enc != chunkenc.EncXOR {
		return chunkenc.FromData(c.Enc, c.Data)
	}
	if len(it.made) == 0 {
		it.made = make([]chunkenc.XORChunk, min(max(8, 2*it.last), 64))
		it.last = len(it.made)
	}
	chunk := &it.made[0]
	it.made = it.made[1:]
	chunk.Reset(c.Data)
	return chunk, nil
}

// cut encodes the samples of c that lie in the window. There may be none.
func (it *chunkIterator) cut(c *engine.Chunk) chunks.Iterator {
	one := &series{
		data:   &engine.Series{Labels: it.series.data.Labels, Chunks: []engine.Chunk{*c}},
		window: it.series.window,
	}
	return storage.NewSeriesToChunkEncoderWithFloatEncoding(one, c.Enc).Iterator(nil)
}

// At implements chunks.Iterator.
func (it *chunkIterator) At() chunks.Meta { return it.at }

// Err implements chunks.Iterator.
func (it *chunkIterator) Err() error { return it.err }

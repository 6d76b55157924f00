package promstore

import (
	"fmt"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/rekindledb/rekindle/engine"
)

// sampleIterator decodes the chunks of one series, one after another, trimmed to the window. It implements
// chunkenc.Iterator. Reused for the next series it allocates nothing: the chunk and chunkenc's iterator are
// kept and pointed at other bytes, as long as the encoding stays the same.
//
// Only the first chunk can begin before the window and only the last can end after it, so samples inside are not
// compared with the window one by one.
type sampleIterator struct {
	labels labels.Labels // for the text of an error
	rest   []engine.Chunk
	window window

	vt   chunkenc.ValueType // of the current sample; ValNone before the first and after the last
	open bool               // cur may have more samples
	last bool               // the open chunk ends after the window
	maxt int64              // of the open chunk
	cur  chunkenc.Iterator
	err  error

	// The memory that is kept for reuse: a chunk of encoding enc. cur is one of its iterators.
	chunk chunkenc.Chunk
	enc   chunkenc.Encoding
}

func (it *sampleIterator) reset(s *series) {
	it.labels, it.rest, it.window = s.data.Labels, s.data.Chunks, *s.window
	it.vt, it.open, it.err = chunkenc.ValNone, false, nil
}

// Next implements chunkenc.Iterator.
func (it *sampleIterator) Next() chunkenc.ValueType {
	if it.open {
		if vt := it.cur.Next(); vt != chunkenc.ValNone {
			return it.settle(vt)
		}
		it.leave()
	}
	return it.enter(it.window.mint)
}

// millis is a time in milliseconds since the epoch. It is an alias so that go vet does not take Seek for io.Seeker's.
type millis = int64

// Seek implements chunkenc.Iterator. Chunks that end before t are passed over without being decoded.
func (it *sampleIterator) Seek(t millis) chunkenc.ValueType {
	if it.vt != chunkenc.ValNone && it.cur.AtT() >= t {
		return it.vt
	}
	if it.open {
		if t <= it.maxt {
			if vt := it.cur.Seek(t); vt != chunkenc.ValNone {
				return it.settle(vt)
			}
		}
		it.leave()
	}
	return it.enter(max(t, it.window.mint))
}

// enter opens the next chunk that has a sample at t or later and stands on the first such sample.
func (it *sampleIterator) enter(t int64) chunkenc.ValueType {
	for it.err == nil && len(it.rest) > 0 {
		c := &it.rest[0]
		it.rest = it.rest[1:]
		if c.MaxT < t {
			continue
		}
		if it.err = it.load(c); it.err != nil {
			break
		}
		it.open, it.maxt, it.last = true, c.MaxT, c.MaxT > it.window.maxt

		var vt chunkenc.ValueType
		if c.MinT >= t {
			vt = it.cur.Next()
		} else {
			vt = it.cur.Seek(t)
		}
		if vt != chunkenc.ValNone {
			return it.settle(vt)
		}
		it.leave()
	}
	it.vt = chunkenc.ValNone
	return it.vt
}

// settle makes the sample that cur stands on the current one, unless it is after the window.
func (it *sampleIterator) settle(vt chunkenc.ValueType) chunkenc.ValueType {
	if it.last && it.cur.AtT() > it.window.maxt {
		it.open, it.rest = false, nil
		vt = chunkenc.ValNone
	}
	it.vt = vt
	return vt
}

// leave closes the open chunk, which has no further sample.
func (it *sampleIterator) leave() {
	it.open = false
	if err := it.cur.Err(); err != nil {
		it.err = fmt.Errorf("promstore: decode %s chunk of %s that ends at %d: %w", it.enc, it.labels, it.maxt, err)
	}
}

// load points cur at the start of c.
func (it *sampleIterator) load(c *engine.Chunk) error {
	if err := checkChunk(c, it.labels); err != nil {
		return err
	}
	if it.chunk == nil || it.enc != c.Enc {
		chunk, err := chunkenc.NewEmptyChunk(c.Enc)
		if err != nil {
			return fmt.Errorf("promstore: read series %s: %w", it.labels, err)
		}
		it.chunk, it.enc = chunk, c.Enc
	}
	it.chunk.Reset(c.Data)
	it.cur = it.chunk.Iterator(it.cur)
	return nil
}

// chunkHeaderSize is what every encoding of chunkenc begins with: the number of samples, 2 bytes.
const chunkHeaderSize = 2

// checkChunk refuses a chunk on which chunkenc would panic instead of returning an error.
func checkChunk(c *engine.Chunk, ls labels.Labels) error {
	if len(c.Data) < chunkHeaderSize {
		return fmt.Errorf("promstore: %s chunk [%d, %d] of %s has %d bytes, less than its header", c.Enc, c.MinT, c.MaxT, ls, len(c.Data))
	}
	return nil
}

// At implements chunkenc.Iterator.
func (it *sampleIterator) At() (int64, float64) { return it.cur.At() }

// AtHistogram implements chunkenc.Iterator.
func (it *sampleIterator) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	return it.cur.AtHistogram(h)
}

// AtFloatHistogram implements chunkenc.Iterator.
func (it *sampleIterator) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return it.cur.AtFloatHistogram(h)
}

// AtT implements chunkenc.Iterator.
func (it *sampleIterator) AtT() int64 { return it.cur.AtT() }

// AtST implements chunkenc.Iterator.
func (it *sampleIterator) AtST() int64 { return it.cur.AtST() }

// Err implements chunkenc.Iterator.
func (it *sampleIterator) Err() error { return it.err }

package promstore

import (
	"fmt"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/engine/xor"
)

// readAhead is how many floats are decoded at a time: enough that what a call costs does not count, and few, since
// some of PromQL's functions hold an iterator for each series.
const readAhead = 16

// sampleIterator decodes the chunks of one series, one after another, trimmed to the window. It implements
// chunkenc.Iterator. Reused for the next series it allocates nothing.
//
// Floats are decoded by package xor, some ahead, so that most steps are one of an index. Chunks of other encodings are
// left to chunkenc, whose chunk and iterator are kept and pointed at other bytes as long as the encoding stays
// the same.
//
// Only the first chunk can begin before the window and only the last can end after it, so samples inside are not
// compared with the window one by one.
type sampleIterator struct {
	labels labels.Labels // for the text of an error
	rest   []engine.Chunk
	window window

	used int // for how many series so far

	vt   chunkenc.ValueType // of the current sample; ValNone before the first and after the last
	open bool               // there is a current chunk, and it may have more samples than those read ahead
	xor  bool               // it holds floats
	last bool               // it ends after the window
	maxt int64              // of the current chunk
	err  error

	// Floats that were read ahead, those in the window. None in a chunk of another encoding.
	i, n   int
	times  [readAhead]int64
	values [readAhead]float64
	floats xor.Iterator

	// Other encodings: a chunk of encoding enc and its iterator.
	cur   chunkenc.Iterator
	chunk chunkenc.Chunk
	enc   chunkenc.Encoding
}

func (it *sampleIterator) reset(s *series) {
	it.labels, it.rest, it.window = s.data.Labels, s.data.Chunks, *s.window
	it.vt, it.open, it.err = chunkenc.ValNone, false, nil
	it.i, it.n = 0, 0
}

// Next implements chunkenc.Iterator.
func (it *sampleIterator) Next() chunkenc.ValueType {
	if it.i++; it.i < it.n {
		return chunkenc.ValFloat
	}
	return it.step()
}

// step is Next where nothing is left that was read ahead.
func (it *sampleIterator) step() chunkenc.ValueType {
	if it.open {
		if it.xor {
			if it.fill() {
				return chunkenc.ValFloat
			}
		} else if vt := it.cur.Next(); vt != chunkenc.ValNone {
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
	if it.vt != chunkenc.ValNone && it.AtT() >= t {
		return it.vt
	}
	if it.seekAhead(t) {
		return chunkenc.ValFloat
	}
	if it.open {
		if t <= it.maxt {
			if it.xor {
				for it.fill() {
					if it.seekAhead(t) {
						return chunkenc.ValFloat
					}
				}
			} else if vt := it.cur.Seek(t); vt != chunkenc.ValNone {
				return it.settle(vt)
			}
		}
		it.leave()
	}
	return it.enter(max(t, it.window.mint))
}

// seekAhead goes to the first of the floats read ahead that is at t or later, if there is one.
func (it *sampleIterator) seekAhead(t int64) bool {
	for ; it.i < it.n; it.i++ {
		if it.times[it.i] >= t {
			return true
		}
	}
	return false
}

// fill reads ahead and makes the first of what it finds the current sample.
func (it *sampleIterator) fill() bool {
	n := it.floats.Read(it.times[:], it.values[:])
	if it.last {
		for n > 0 && it.times[n-1] > it.window.maxt {
			n--
			it.rest = nil
		}
	}
	it.i, it.n = 0, n
	if n == 0 {
		return false
	}
	it.vt = chunkenc.ValFloat
	return true
}

// enter opens the next chunk that has a sample at t or later and stands on the first such sample.
func (it *sampleIterator) enter(t int64) chunkenc.ValueType {
	for it.err == nil && len(it.rest) > 0 {
		c := &it.rest[0]
		it.rest = it.rest[1:]
		if c.MaxT < t {
			continue
		}
		it.open, it.maxt, it.last, it.xor = true, c.MaxT, c.MaxT > it.window.maxt, c.Enc == chunkenc.EncXOR
		if it.xor {
			it.floats.Reset(c.Data)
			for it.fill() {
				if it.seekAhead(t) {
					return chunkenc.ValFloat
				}
			}
		} else if vt := it.enterOther(c, t); vt != chunkenc.ValNone {
			return vt
		}
		it.leave()
	}
	it.vt = chunkenc.ValNone
	return it.vt
}

// enterOther is enter for a chunk that chunkenc decodes.
func (it *sampleIterator) enterOther(c *engine.Chunk, t int64) chunkenc.ValueType {
	it.i, it.n = 0, 0
	if it.err = it.load(c); it.err != nil {
		it.open = false
		return chunkenc.ValNone
	}
	var vt chunkenc.ValueType
	if c.MinT >= t {
		vt = it.cur.Next()
	} else {
		vt = it.cur.Seek(t)
	}
	if vt != chunkenc.ValNone {
		return it.settle(vt)
	}
	return vt
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

// leave closes the open chunk, which has no further sample in the window.
func (it *sampleIterator) leave() {
	if !it.open {
		return
	}
	it.open = false
	var err error
	if it.xor {
		err = it.floats.Err()
	} else {
		err = it.cur.Err()
	}
	if err != nil {
		it.err = fmt.Errorf("promstore: decode chunk of %s that ends at %d: %w", it.labels, it.maxt, err)
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
func (it *sampleIterator) At() (int64, float64) {
	if it.n == 0 {
		return it.cur.At()
	}
	return it.times[it.i], it.values[it.i]
}

// AtHistogram implements chunkenc.Iterator.
func (it *sampleIterator) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	return it.cur.AtHistogram(h)
}

// AtFloatHistogram implements chunkenc.Iterator.
func (it *sampleIterator) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return it.cur.AtFloatHistogram(h)
}

// AtT implements chunkenc.Iterator.
func (it *sampleIterator) AtT() int64 {
	if it.n == 0 {
		return it.cur.AtT()
	}
	return it.times[it.i]
}

// AtST implements chunkenc.Iterator. No sample has one in a chunk of floats.
func (it *sampleIterator) AtST() int64 {
	if it.n == 0 {
		return it.cur.AtST()
	}
	return 0
}

// Err implements chunkenc.Iterator.
func (it *sampleIterator) Err() error { return it.err }

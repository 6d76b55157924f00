package walio

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/rekindledb/rekindle/arena/disk"
)

// extentDecoder decodes extents. It belongs to one goroutine.
type extentDecoder struct {
	fs     disk.FS
	filter filter

	r      recordReader
	inner  decompressor
	header commitHeader
	ranges []sampleRange
	base   int64 // that sample times are differences from
	// inOrder is where the samples of small commits are decoded to, before they are brought together by stripe.
	inOrder []RefSample
	// keep, if not nil, gets the intact records as they stand in the file, and keptHashes their hashes.
	keep       *encoded
	keptHashes []uint32
	scratch    window
	file       disk.File // of the last extent: neighbours are mostly in the same segment
	path       string
}

func (d *extentDecoder) close() {
	d.inner.close()
	if d.file != nil {
		d.file.Close()
	}
}

func (d *extentDecoder) open(path string) (disk.File, error) {
	if d.path == path {
		return d.file, nil
	}
	if d.file != nil {
		d.file.Close()
		d.file, d.path = nil, ""
	}
	f, err := d.fs.Open(path)
	if err != nil {
		return nil, fmt.Errorf("walio: open segment: %w", err)
	}
	d.file, d.path = f, path
	return f, nil
}

// growMax bounds what is believed of a header before the records are seen.
const growMax = 4 << 20

// decode fills w with the commits of e. What is unreadable is left out and noted in w.partial; the error
// is for the disk.
func (d *extentDecoder) decode(w *window, e extent) error {
	w.reset(e)
	if e.first == e.last {
		// Exactly as much as will come: growing step by step leaves twice as much behind for the collector.
		w.samples = slices.Grow(w.samples, e.samplesExpected())
		return d.decodeInto(w, e)
	}
	place := w.samples
	w.samples = slices.Grow(d.inOrder[:0], e.samplesExpected())
	err := d.decodeInto(w, e)
	d.inOrder = w.samples
	w.group(place)
	return err
}

func (d *extentDecoder) decodeInto(w *window, e extent) error {
	d.base = e.minT
	w.series = slices.Grow(w.series, int(min(e.counts.Series, growMax)))
	f, err := d.open(e.seg.path)
	if err != nil {
		return err
	}
	if e.damaged {
		// Its header may be lost; then the copy at the end stands for it.
		if err := d.findHeader(f, e); err != nil {
			return err
		}
		d.r.reset(f, e.off, e.end)
		d.commit(w, true)
	} else {
		d.r.reset(f, e.off, e.end)
		for d.nextHeader() {
			if d.header.commit > e.last {
				break
			}
			d.commit(w, d.header.commit >= e.first)
		}
	}
	if d.r.err != nil {
		return fmt.Errorf("walio: read segment %s: %w", e.seg.path, d.r.err)
	}
	return nil
}

func (d *extentDecoder) nextHeader() bool {
	for {
		rec, ok := d.r.next()
		if !ok {
			return false
		}
		if rec.isHeader() &&
			parseCommitHeader(rec.data, &d.header) == nil && d.header.flags&flagCopy == 0 {
			return true
		}
	}
}

var errVanished = errors.New("a commit header that was there a moment ago is unreadable now")

func (d *extentDecoder) findHeader(f disk.File, e extent) error {
	d.r.reset(f, e.off, e.end)
	for {
		rec, ok := d.r.next()
		if !ok && d.r.err != nil {
			return fmt.Errorf("walio: read segment %s: %w", e.seg.path, d.r.err)
		}
		if !ok {
			return fmt.Errorf("walio: read segment %s: commit %d: %w", e.seg.path, e.first, errVanished)
		}
		if rec.isHeader() &&
			parseCommitHeader(rec.data, &d.header) == nil && d.header.commit == e.first {
			return nil
		}
	}
}

// commit reads the records of the commit whose header is in d.header, and puts those whose hash is right
// into w. A record that is missing or does not verify leaves the others valid: each stands for itself.
func (d *extentDecoder) commit(w *window, wanted bool) {
	h := &d.header
	var got Totals
	next, seen := 0, 0 // the first record that may still come; how many came
	for next < len(h.hashes) {
		from := d.r.pos
		rec, ok := d.r.next()
		if !ok {
			break
		}
		if rec.broken {
			continue
		}
		if rec.isHeader() {
			if wanted && w.extent.damaged {
				continue // the header or its copy: the extent ends with this commit
			}
			d.r.pos = from // of the next commit
			break
		}
		if !wanted {
			next++ // skipped commits are counted, not checked
			continue
		}
		data, err := d.inner.record(rec.data, rec.flags)
		if err != nil {
			continue
		}
		at := findHash(h.hashes[next:], recordHash(data))
		if at < 0 {
			continue
		}
		counts, ok := d.record(w, h.commit, data)
		if !ok {
			continue
		}
		if d.keep != nil {
			d.keep.add(rec.data, rec.flags)
			d.keptHashes = append(d.keptHashes, h.hashes[next+at])
		}
		next += at + 1
		seen++
		got = got.plus(counts)
	}
	if hasCopy(len(h.hashes)) && next == len(h.hashes) {
		d.skipCopy()
	}
	if !wanted {
		return
	}
	w.commits++
	w.counts = w.counts.plus(got)
	// A salvaged header still counts what is in the ledger already.
	if seen < len(h.hashes) || got != h.counts && h.flags&flagSalvaged == 0 {
		w.partial = append(w.partial, partialCommit{
			commit: h.commit,
			lost:   Totals{h.counts.Series - got.Series, h.counts.Samples - got.Samples, h.counts.Others - got.Others},
			minT:   h.minT, maxT: h.maxT,
		})
	}
}

// skipCopy moves behind the copy of the header, if that is what comes next.
func (d *extentDecoder) skipCopy() {
	from := d.r.pos
	rec, ok := d.r.next()
	if !ok || !rec.isHeader() || len(rec.data) < 3 || rec.data[2]&flagCopy == 0 {
		d.r.pos = from
	}
}

func findHash(hashes []uint32, sum uint32) int {
	for i, h := range hashes {
		if h == sum {
			return i
		}
	}
	return -1
}

// record puts one verified record into w. It returns false, with nothing added, if it is malformed.
func (d *extentDecoder) record(w *window, commit uint64, rec []byte) (Totals, bool) {
	if len(rec) == 0 {
		return Totals{}, false
	}
	switch rec[0] {
	case recordSamples:
		n, ok := d.samples(w, commit, rec[1:])
		return Totals{Samples: n}, ok
	case recordSeries:
		n, ok := d.series(w, commit, rec[1:])
		return Totals{Series: n}, ok
	}
	return Totals{Others: 1}, d.other(w, commit, rec)
}

func (d *extentDecoder) series(w *window, commit uint64, body []byte) (uint64, bool) {
	from := len(w.series)
	for len(body) > 0 {
		keyFrom := len(w.bytes)
		ref, rest, bytes, err := cutSeries(body, w.bytes)
		if err != nil || !d.filter.valid(ref) {
			w.series = w.series[:from]
			return 0, false
		}
		body, w.bytes = rest, bytes
		w.series = append(w.series, SeriesDef{ref, bytes[keyFrom:len(bytes):len(bytes)]})
	}
	for i := from; i < len(w.series); i++ {
		ref := w.series[i].Ref
		s := d.filter.stripe(ref)
		w.maxIndex[s] = max(w.maxIndex[s], ref>>d.filter.shift)
		if commit > d.filter.from[s] {
			w.addRun(s, RunSeries, i, i+1, 0)
			w.applied.Series++
		}
	}
	return uint64(len(w.series) - from), true
}

// other hands a record of another kind, as it is, to every stripe that it names.
func (d *extentDecoder) other(w *window, commit uint64, rec []byte) bool {
	var stripes uint64 // a bit a stripe
	var maxIndex [stripesMax]uint64
	err := recordRefs(rec, func(ref uint64) bool {
		s := d.filter.stripe(ref)
		stripes |= 1 << s
		maxIndex[s] = max(maxIndex[s], ref>>d.filter.shift)
		return d.filter.valid(ref)
	})
	if err != nil {
		return false
	}
	from := len(w.bytes)
	w.bytes = append(w.bytes, rec...)
	kept := w.bytes[from:len(w.bytes):len(w.bytes)]
	for ; stripes != 0; stripes &= stripes - 1 {
		s := bits.TrailingZeros64(stripes)
		w.maxIndex[s] = max(w.maxIndex[s], maxIndex[s])
		if commit > d.filter.from[s] {
			w.runs[s] = append(w.runs[s], Run{Kind: RunRecord, Record: kept})
			w.applied.Others++
		}
	}
	return true
}

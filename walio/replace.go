package walio

import (
	"fmt"
	"slices"

	"github.com/rekindledb/rekindle/arena/disk"
)

// replaceSegment replaces a damaged segment, under its own number, by one with its intact commits, and with
// what could be saved of the others. The damaged file is kept aside.
func (r *recovery) replaceSegment(seg *segmentScan, pieces []extent) error {
	tmp := seg.path + tmpSuffix
	size, headerEnd, err := r.writeReplacement(seg, pieces, tmp)
	if err == nil {
		err = r.linkAside(seg)
	}
	if err == nil {
		err = r.opts.FS.Rename(tmp, seg.path)
	}
	if err != nil {
		r.opts.FS.RemoveAll(tmp) // if it stays, the next start removes it
		return fmt.Errorf("walio: replace damaged segment %s: %w", seg.path, err)
	}
	if err := r.opts.FS.SyncDir(r.opts.Dir); err != nil {
		return fmt.Errorf("walio: sync directory %s: %w", r.opts.Dir, err)
	}
	r.opts.Logger.Warn("replaced a damaged log segment by its intact commits", "segment", seg.path, "bytes_before", seg.size, "bytes", size)
	seg.size, seg.headerEnd = size, headerEnd
	r.relocate(seg)
	return nil
}

// relocate forgets where the extents of a replaced segment are: the whole file is synced, and only the tail
// that is not would be looked at again.
func (r *recovery) relocate(seg *segmentScan) {
	for i := range r.plan.extents {
		if e := &r.plan.extents[i]; e.seg == seg {
			e.off, e.end = seg.size, seg.size
		}
	}
}

func (r *recovery) linkAside(seg *segmentScan) error {
	path, err := r.asidePath(segmentName(seg.num))
	if path == "" || err != nil {
		return err
	}
	if err := r.opts.FS.Link(seg.path, path); err == nil {
		return nil
	}
	// Another file system, or one without links.
	data, err := disk.ReadFile(r.opts.FS, seg.path)
	if err != nil {
		return err
	}
	return r.keepAside(segmentName(seg.num), data)
}

// writeReplacement writes the commits of pieces to a new file and syncs it.
func (r *recovery) writeReplacement(seg *segmentScan, pieces []extent, name string) (size, headerEnd int64, err error) {
	f, err := r.opts.FS.Create(name)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	head := seg.header
	if head == nil {
		head = &segmentHeader{kind: segmentLog, id: r.opts.Identity, num: uint64(seg.num), first: r.plan.end + 1}
		if len(pieces) > 0 {
			head.epoch, head.first = pieces[0].epoch, pieces[0].first
		}
	}
	out := fileAppender{file: f}
	out.frames = appendFragments(nil, 0, appendSegmentHeader(nil, head), 0)
	headerEnd = int64(len(out.frames))
	d := &extentDecoder{fs: r.opts.FS, filter: newFilter(r.opts.Identity.Stripes, nil), keep: &encoded{}}
	defer d.close()
	for _, e := range pieces {
		if err := d.copyExtent(e, &out); err != nil {
			return 0, 0, err
		}
	}
	if err := out.flush(); err != nil {
		return 0, 0, err
	}
	return out.off, headerEnd, f.Sync()
}

// copyExtent appends the commits of e to out, each as whole as it can be read.
func (d *extentDecoder) copyExtent(e extent, out *fileAppender) error {
	f, err := d.open(e.seg.path)
	if err != nil {
		return err
	}
	if e.damaged {
		if err := d.findHeader(f, e); err != nil {
			return err
		}
		d.r.reset(f, e.off, e.end)
		return d.copyCommit(e, out)
	}
	d.r.reset(f, e.off, e.end)
	for d.nextHeader() {
		if d.header.commit > e.last {
			break
		}
		if d.header.commit < e.first {
			d.commit(nil, false)
			continue
		}
		if err := d.copyCommit(e, out); err != nil {
			return err
		}
	}
	return d.r.err
}

func (d *extentDecoder) copyCommit(e extent, out *fileAppender) error {
	d.keep.data, d.keep.recs, d.keptHashes = d.keep.data[:0], d.keep.recs[:0], d.keptHashes[:0]
	d.scratch.reset(e)
	d.commit(&d.scratch, true)
	if d.r.err != nil {
		return d.r.err
	}
	h := d.header
	if len(d.keptHashes) < len(h.hashes) {
		h.flags |= flagSalvaged
	}
	h.hashes = d.keptHashes
	d.keep.seal(&h)
	return out.append(d.keep)
}

// fileAppender frames commits into a file.
type fileAppender struct {
	file   disk.File
	off    int64 // written
	frames []byte
}

func (a *fileAppender) append(e *encoded) error {
	a.frames = e.appendFrames(a.frames, a.off+int64(len(a.frames)))
	if len(a.frames) < rewriteChunk {
		return nil
	}
	return a.flush()
}

func (a *fileAppender) flush() error {
	if _, err := a.file.WriteAt(a.frames, a.off); err != nil {
		return err
	}
	a.off += int64(len(a.frames))
	a.frames = a.frames[:0]
	return nil
}

// fillHoles puts an empty segment where one is missing: stock tools refuse numbers with holes.
func (r *recovery) fillHoles() (bool, error) {
	if len(r.segments) == 0 {
		return false, nil
	}
	first := r.segments[0].num
	if n := len(r.listing.checkpoints); n > 0 {
		first = min(first, r.listing.checkpoints[n-1]+1)
	}
	var filled []*segmentScan
	for num := first; num < r.segments[len(r.segments)-1].num; num++ {
		if r.listing.has(num) {
			continue
		}
		seg := &segmentScan{num: num, path: segmentPath(r.opts.Dir, num)}
		size, headerEnd, err := r.writeReplacement(seg, nil, seg.path)
		if err != nil {
			err = fmt.Errorf("walio: fill the hole at segment %s: %w", seg.path, err)
			if err := r.orFull(err); err != nil {
				return false, err
			}
			break
		}
		seg.size, seg.headerEnd = size, headerEnd
		filled = append(filled, seg)
	}
	r.insertSegments(filled)
	return len(filled) > 0, nil
}

func (r *recovery) insertSegments(more []*segmentScan) {
	r.segments = append(r.segments, more...)
	slices.SortFunc(r.segments, func(a, b *segmentScan) int { return a.num - b.num })
}

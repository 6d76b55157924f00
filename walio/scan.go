package walio

import (
	"errors"
	"fmt"

	"github.com/rekindledb/rekindle/arena/disk"
)

// The first pass of recovery reads the framing and the commit headers of every segment that may matter. It
// checks all checksums of fragments but decompresses nothing. What it leaves is a list of extents a
// segment; plan.go makes one log of them.

// extent is a stretch of one segment that holds consecutive commits whole, or one damaged commit.
type extent struct {
	seg         *segmentScan
	first, last uint64
	off, end    int64
	epoch       uint64
	synced      uint64 // greatest synced-through of its headers
	counts      Totals
	before      Totals // running totals before first
	minT, maxT  int64
	// damaged: a single commit of which a header or its copy was read, and not all the rest.
	damaged bool
	// trimmed: some of its commits are taken from elsewhere, so counts and before say too much.
	trimmed bool
}

// samplesExpected is how many samples memory is set aside for: what the headers say, as far as it is believed
// before the records are seen.
func (e *extent) samplesExpected() int { return int(min(e.counts.Samples, growMax)) }

// room is the memory that is set aside for samples and the keys of new series, in samples.
func (e *extent) room() int {
	return e.samplesExpected() + seriesLoad*int(min(e.counts.Series, growMax/seriesLoad))
}

func (e *extent) after() Totals { return e.before.plus(e.counts) }

// segmentScan is what the first pass found in one segment.
type segmentScan struct {
	num  int
	path string
	size int64
	// header is nil if it is unreadable.
	header    *segmentHeader
	headerEnd int64
	// rewrite says that the header is readable to us and to nobody else.
	rewrite bool
	extents []extent
	// skipped segments were not read but for their header: all images contain their commits.
	skipped bool
}

// An extent is at most this part of a round of the replay, and this long, so that there is work for all workers.
const (
	extentShare   = 96
	extentSizeMax = 4 << 20
)

// scanner scans segments. It belongs to one goroutine.
type scanner struct {
	fs    disk.FS
	id    Identity
	epoch uint64
	load  uint64 // the most that an extent holds, unless it is one commit
	kind  byte

	r          recordReader
	cur, spare *commitHeader
	// Of the commit being read.
	open    bool
	damaged bool
	off     int64 // where it begins
	seen    int   // records
	lastEnd int64 // of the last commit that ended
}

func newScanner(opts *RecoverOptions, kind byte) *scanner {
	return &scanner{
		fs: opts.FS, id: opts.Identity, epoch: opts.Epoch, load: uint64(opts.Window / extentShare), kind: kind,
		cur: &commitHeader{}, spare: &commitHeader{},
	}
}

// readHeader reads the first record only. seg.header stays nil if that is not a readable segment header.
func (s *scanner) readHeader(seg *segmentScan) error {
	f, size, err := openSegment(s.fs, seg.path)
	if err != nil {
		return err
	}
	defer f.Close()
	seg.size = size
	s.r.reset(f, 0, min(seg.size, pageSize)) // it always fits
	rec, ok := s.r.next()
	if s.r.err != nil {
		return fmt.Errorf("walio: read segment %s: %w", seg.path, s.r.err)
	}
	if !ok || rec.broken || len(rec.data) == 0 || rec.data[0] != recordSegment {
		return nil
	}
	seg.headerEnd = rec.end
	seg.header, err = s.checkSegment(seg.path, rec.data)
	return err
}

// checkSegment parses a segment header and refuses it if it is not ours. Damage is no error: nil, nil.
func (s *scanner) checkSegment(path string, rec []byte) (*segmentHeader, error) {
	h, err := parseSegmentHeader(rec)
	switch {
	case errors.Is(err, ErrVersion):
		return nil, fmt.Errorf("walio: segment %s: %w", path, err)
	case err != nil:
		return nil, nil
	case h.id != s.id:
		return nil, fmt.Errorf("%w: segment %s is of %v, expected %v; is the right volume mounted?", ErrForeign, path, h.id, s.id)
	case h.kind != s.kind:
		return nil, fmt.Errorf("%w: segment %s is of kind %d, expected %d", ErrForeign, path, h.kind, s.kind)
	case h.epoch > s.epoch:
		return nil, fmt.Errorf("%w: segment %s has epoch %d, ours is %d", ErrFenced, path, h.epoch, s.epoch)
	}
	return h, nil
}

// scan reads a whole segment.
func (s *scanner) scan(seg *segmentScan) error {
	f, size, err := openSegment(s.fs, seg.path)
	if err != nil {
		return err
	}
	defer f.Close()
	seg.size = size
	s.r.reset(f, 0, seg.size)
	s.open, s.lastEnd = false, 0
	foreign := false
	for {
		rec, ok := s.r.next()
		if !ok {
			break
		}
		switch {
		case rec.broken:
			s.damaged = true
		case len(rec.data) > 0 && rec.data[0] == recordSegment && rec.off == 0:
			if seg.header, err = s.checkSegment(seg.path, rec.data); err != nil {
				return err
			}
			seg.headerEnd, s.lastEnd = rec.end, rec.end
			seg.rewrite = rec.flags != 0
		case rec.isHeader():
			if err := s.commitRecord(seg, rec); err != nil {
				return err
			}
		default:
			foreign = foreign || rec.off == 0
			s.seen++
			if s.open && s.seen == len(s.cur.hashes) && !hasCopy(s.seen) {
				s.close(seg, rec.end)
			}
		}
	}
	if s.r.err != nil {
		return fmt.Errorf("walio: read segment %s: %w", seg.path, s.r.err)
	}
	if s.open {
		s.damaged = true
		s.close(seg, seg.size)
	}
	if foreign && seg.header == nil && len(seg.extents) == 0 {
		return fmt.Errorf("%w: segment %s begins with a record that this program did not write; import it, or move it away", ErrForeign, seg.path)
	}
	return nil
}

// commitRecord handles a commit header or the copy that ends a commit.
func (s *scanner) commitRecord(seg *segmentScan, rec record) error {
	h := s.spare
	err := parseCommitHeader(rec.data, h)
	if errors.Is(err, ErrVersion) {
		return fmt.Errorf("walio: segment %s: %w", seg.path, err)
	}
	if err != nil || h.generation != s.id.Generation {
		s.damaged = true
		return nil
	}
	if h.epoch > s.epoch {
		return fmt.Errorf("%w: commit %d in segment %s has epoch %d, ours is %d", ErrFenced, h.commit, seg.path, h.epoch, s.epoch)
	}
	isCopy := h.flags&flagCopy != 0
	if s.open && !(isCopy && h.commit == s.cur.commit) {
		s.damaged = true // its end is missing
		s.close(seg, rec.off)
	}
	if isCopy && s.open {
		s.damaged = s.damaged || s.seen != len(s.cur.hashes) || rec.flags != 0
		s.close(seg, rec.end)
		return nil
	}
	s.cur, s.spare = h, s.cur
	s.open, s.off, s.seen = true, rec.off, 0
	if isCopy { // its header is lost, and perhaps more
		s.damaged, s.off = true, s.lastEnd
		s.close(seg, rec.end)
		return nil
	}
	s.damaged = rec.flags != 0
	if len(h.hashes) == 0 {
		s.close(seg, rec.end)
	}
	return nil
}

// close ends the open commit at end and enters it in the segment's list.
func (s *scanner) close(seg *segmentScan, end int64) {
	h := s.cur
	s.open, s.lastEnd = false, end
	if n := len(seg.extents); n > 0 && !s.damaged {
		e := &seg.extents[n-1]
		if !e.damaged && e.last+1 == h.commit && e.epoch == h.epoch && e.end == s.off &&
			e.counts.plus(h.counts).load() <= s.load && end-e.off <= extentSizeMax {
			if h.counts.Samples > 0 {
				if e.counts.Samples == 0 {
					e.minT, e.maxT = h.minT, h.maxT
				}
				e.minT, e.maxT = min(e.minT, h.minT), max(e.maxT, h.maxT)
			}
			e.last, e.end = h.commit, end
			e.counts = e.counts.plus(h.counts)
			e.synced = max(e.synced, h.synced)
			return
		}
	}
	seg.extents = append(seg.extents, extent{
		seg: seg, first: h.commit, last: h.commit, off: s.off, end: end,
		epoch: h.epoch, synced: h.synced, counts: h.counts, before: h.before,
		minT: h.minT, maxT: h.maxT, damaged: s.damaged,
	})
	s.damaged = false
}

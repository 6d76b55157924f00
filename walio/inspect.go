package walio

import (
	"errors"
	"fmt"

	"github.com/rekindledb/rekindle/arena/disk"
)

// Item is what stands at one place of a segment: a segment header, a commit header, a record, or bytes that are
// none of these. It and what it points to are reused for the next one.
type Item struct {
	// Off and End are the bytes of the file, fragments included.
	Off, End int64
	// Fault says what is wrong; empty if nothing is. Of what follows at most one is set, none where the bytes mean nothing.
	Fault   string
	Segment *SegmentInfo
	Commit  *CommitInfo
	Record  *RecordInfo
}

// SegmentInfo is the header of a segment.
type SegmentInfo struct {
	Identity
	Checkpoint bool // of checkpoint.N, not of the log
	Epoch      uint64
	Num        uint64
	First      uint64 // the first commit that it was made for
	// Of a checkpoint: the series in this segment and those before it, and the greatest index of each stripe.
	Series   uint64
	MaxIndex []uint64
}

// CommitInfo is the header of a commit, or the copy of it that ends the commit.
type CommitInfo struct {
	Copy     bool
	Salvaged bool // recovery saved only a part of the commit
	Epoch    uint64
	Commit   uint64
	Synced   uint64 // the greatest commit that was durable when it was built
	Records  int
	Counts   Totals // of this commit
	Before   Totals // of all before it
	MinT     int64  // of its float samples, ms; both 0 without any
	MaxT     int64
}

// RecordInfo is a record of a commit.
type RecordInfo struct {
	Type    byte
	Last    bool   // of its commit
	Packed  string // "", "snappy" or "zstd"
	Stored  int    // bytes in the file, without fragment headers
	Entries int    // series, samples, ...
	Data    []byte // decompressed, its type first
}

// Inspect reads a segment from its first byte to its last, checks everything that can be checked without other
// files, and calls visit for each item in turn. It changes nothing. Its error is the disk's, or visit's, or
// ErrForeign for a segment that was not written by this program.
func Inspect(fsys disk.FS, path string, visit func(*Item) error) error {
	f, size, err := openSegment(fsys, path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := inspector{visit: visit, head: &commitHeader{}, spare: &commitHeader{}}
	defer in.inner.close()
	in.r.reset(f, 0, size)
	for {
		rec, ok := in.r.next()
		if !ok {
			break
		}
		if err := in.record(rec); err != nil {
			return fmt.Errorf("walio: segment %s: %w", path, err)
		}
	}
	if in.r.err != nil {
		return fmt.Errorf("walio: read segment %s: %w", path, in.r.err)
	}
	return in.closeCommit(size)
}

type inspector struct {
	visit func(*Item) error
	r     recordReader
	inner decompressor

	// The commit being read, and the memory for the next one's header.
	head, spare *commitHeader
	open        bool
	off         int64
	next        int // records seen, or passed over
	broken      bool

	commit CommitInfo
	rec    RecordInfo
}

func (in *inspector) fault(off, end int64, format string, args ...any) error {
	in.broken = true
	return in.visit(&Item{Off: off, End: end, Fault: fmt.Sprintf(format, args...)})
}

func (in *inspector) record(rec record) error {
	switch {
	case rec.broken:
		return in.fault(rec.off, rec.end, "%d bytes are not a record with the right checksum", rec.end-rec.off)
	case len(rec.data) == 0:
		return in.fault(rec.off, rec.end, "empty record")
	case isSegmentHeader(&rec):
		return in.segment(rec)
	case rec.isHeader():
		return in.header(rec)
	case rec.off == 0:
		return fmt.Errorf("%w: it begins with a record that this program did not write", ErrForeign)
	}
	return in.entry(rec)
}

// isSegmentHeader is as record.isHeader: what is compressed may begin with any byte.
func isSegmentHeader(rec *record) bool {
	if rec.data[0] != recordSegment {
		return false
	}
	_, err := checkHeader(rec.data, recordSegment, errSegment)
	return rec.flags == 0 || err == nil
}

func (in *inspector) segment(rec record) error {
	h, err := parseSegmentHeader(rec.data)
	switch {
	case errors.Is(err, ErrVersion):
		return err
	case err != nil:
		return in.fault(rec.off, rec.end, "%v", err)
	}
	item := Item{Off: rec.off, End: rec.end, Segment: &SegmentInfo{
		Identity: h.id, Checkpoint: h.kind == segmentCheckpoint, Epoch: h.epoch, Num: h.num, First: h.first,
		Series: h.series, MaxIndex: h.maxIndex,
	}}
	switch {
	case rec.off != 0:
		item.Fault = "a segment header in the middle of a segment"
	case rec.flags != 0:
		item.Fault = "the fragment's flags say that the header is compressed, which it is not"
	}
	return in.visit(&item)
}

func (in *inspector) header(rec record) error {
	h := in.spare
	err := parseCommitHeader(rec.data, h)
	switch {
	case errors.Is(err, ErrVersion):
		return err
	case err != nil:
		return in.fault(rec.off, rec.end, "%v", err)
	}
	isCopy := h.flags&flagCopy != 0
	ends := isCopy && in.open && in.head.commit == h.commit
	if !ends {
		if err := in.closeCommit(rec.off); err != nil {
			return err
		}
	}
	item := Item{Off: rec.off, End: rec.end, Commit: in.info(h)}
	switch {
	case rec.flags != 0:
		item.Fault = "the fragment's flags say that the header is compressed, which it is not"
	case isCopy && !ends:
		item.Fault = fmt.Sprintf("the end of commit %d, whose beginning is not there", h.commit)
	case ends && in.next < len(in.head.hashes) && !in.broken:
		item.Fault = fmt.Sprintf("commit %d ends after %d of its %d records", h.commit, in.next, len(in.head.hashes))
	}
	if isCopy {
		in.open = false
	} else {
		in.head, in.spare = h, in.head
		in.open, in.off, in.next, in.broken = len(h.hashes) > 0, rec.off, 0, false
	}
	return in.visit(&item)
}

func (in *inspector) info(h *commitHeader) *CommitInfo {
	in.commit = CommitInfo{
		Copy: h.flags&flagCopy != 0, Salvaged: h.flags&flagSalvaged != 0, Epoch: h.epoch, Commit: h.commit, Synced: h.synced,
		Records: len(h.hashes), Counts: h.counts, Before: h.before, MinT: h.minT, MaxT: h.maxT,
	}
	return &in.commit
}

// closeCommit says so if the commit that is open has not come to its end.
func (in *inspector) closeCommit(end int64) error {
	if !in.open {
		return nil
	}
	in.open = false
	if in.broken {
		return nil // said already
	}
	return in.visit(&Item{Off: in.off, End: end, Fault: fmt.Sprintf("commit %d ends after %d of its %d records", in.head.commit, in.next, len(in.head.hashes))})
}

func (in *inspector) entry(rec record) error {
	data, err := in.inner.record(rec.data, rec.flags)
	switch {
	case err != nil:
		return in.fault(rec.off, rec.end, "%v", err)
	case len(data) == 0:
		return in.fault(rec.off, rec.end, "empty record")
	case !in.open:
		return in.fault(rec.off, rec.end, "a record of type %d that belongs to no commit", data[0])
	}
	at := findHash(in.head.hashes[in.next:], recordHash(data))
	if at < 0 {
		return in.fault(rec.off, rec.end, "a record of type %d that commit %d does not know", data[0], in.head.commit)
	}
	in.next += at + 1
	n, err := entries(data)
	in.rec = RecordInfo{Type: data[0], Last: in.next == len(in.head.hashes), Packed: packing(rec.flags), Stored: len(rec.data), Entries: n, Data: data}
	item := Item{Off: rec.off, End: rec.end, Record: &in.rec}
	if err != nil {
		in.broken = true
		item.Fault = err.Error()
	}
	if in.next == len(in.head.hashes) && !hasCopy(in.next) {
		in.open = false
	}
	return in.visit(&item)
}

func packing(flags byte) string {
	switch flags {
	case flagSnappy:
		return "snappy"
	case flagZstd:
		return "zstd"
	}
	return ""
}

// entries counts what is in a record, which has at least one byte.
func entries(rec []byte) (n int, err error) {
	switch rec[0] {
	case recordSeries:
		var key []byte
		for body := rec[1:]; len(body) > 0; n++ {
			if _, body, key, err = cutSeries(body, key[:0]); err != nil {
				return n, err
			}
		}
		return n, nil
	case recordSamples:
		d := decoder{rec[1:]}
		for d.skip(16); len(d.b) > 0; n++ {
			d.varint()
			d.varint()
			d.skip(8)
		}
		if d.b == nil {
			return n, errSamples
		}
		return n, nil
	}
	err = recordRefs(rec, func(uint64) bool { n++; return true })
	return n, err
}

var errSamples = errors.New("malformed Samples record")

// SegmentNames returns the segments, the checkpoints and the unfinished files in a log's directory, as paths.
// Checkpoints are directories of segments, and only the newest counts.
func SegmentNames(fsys disk.FS, dir string) (segments, checkpoints, unfinished []string, err error) {
	l, err := listDir(fsys, dir)
	for _, num := range l.segments {
		segments = append(segments, segmentPath(dir, num))
	}
	for _, num := range l.checkpoints {
		checkpoints = append(checkpoints, checkpointPath(dir, num))
	}
	return segments, checkpoints, l.leftovers, err
}

package walio

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/rekindledb/rekindle/arena/disk"
)

// openSegment opens a segment for reading, and returns how long it is.
func openSegment(fsys disk.FS, path string) (disk.File, int64, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("walio: open segment: %w", err)
	}
	size, err := f.Size()
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("walio: size of segment %s: %w", path, err)
	}
	return f, size, nil
}

// recordReader walks the records of a part of a segment. Unlike the stock reader it goes on after damage:
// it reports that something was unreadable and continues with the next fragment, or the next page, that
// makes sense. What may be believed is decided above it, by commit numbers and hashes.
type recordReader struct {
	file io.ReaderAt
	end  int64 // of the part
	err  error // of the disk, not of the data
	// padded: the rest of a page may be zeros, as stock writers leave it when they close a segment.
	padded bool

	page    []byte // the pages in memory
	pageOff int64
	pos     int64

	rec []byte // a record of several fragments
}

// readAhead is how much of a segment is read at once: a multiple of the page size.
const readAhead = 8 * pageSize

// record is one whole record as it stands in the file, not decompressed yet.
type record struct {
	// off is where the record before it ended, end where this one does.
	off, end int64
	flags    byte
	data     []byte // valid until the next call of next
	// broken is set, and data nil, where bytes from off on could not be read as a record.
	broken bool
}

// isHeader says that rec is a commit header or its copy. Headers are never compressed; one whose compression
// flag was flipped on the disk still proves itself by its checksum.
func (rec *record) isHeader() bool {
	if len(rec.data) == 0 || rec.data[0] != recordCommit {
		return false
	}
	if rec.flags == 0 {
		return true
	}
	_, err := checkHeader(rec.data, recordCommit, errHeader)
	return err == nil
}

func (r *recordReader) reset(file io.ReaderAt, off, end int64) {
	r.file, r.pos, r.end, r.err = file, off, end, nil
	r.page, r.pageOff = r.page[:0], 0
}

// next returns the next record or broken place. It returns false at the end, or with r.err set.
func (r *recordReader) next() (record, bool) {
	off := r.pos
	r.rec = r.rec[:0]
	inside := false
	var flags byte
	for {
		from := r.pos
		typ, data, ok := r.fragment()
		if r.err != nil {
			return record{}, false
		}
		if !ok {
			if from == r.pos && !inside {
				return record{}, false // the end
			}
			return record{off: off, end: r.pos, broken: true}, true
		}
		kind := typ & fragmentTypeMask
		starts := kind == fragmentFull || kind == fragmentFirst
		if starts == inside || inside && typ&^fragmentTypeMask != flags {
			if starts {
				r.pos = from // it begins the next record; what is broken is the one before
			}
			return record{off: off, end: r.pos, broken: true}, true
		}
		flags = typ &^ fragmentTypeMask
		switch kind {
		case fragmentFull:
			return record{off: off, end: r.pos, flags: flags, data: data}, true
		case fragmentLast:
			r.rec = append(r.rec, data...)
			return record{off: off, end: r.pos, flags: flags, data: r.rec}, true
		}
		r.rec = append(r.rec, data...)
		inside = true
	}
}

// fragment returns the next fragment and moves behind it. If it is unreadable, fragment returns false and
// moves to where reading may go on. At the end it returns false and does not move.
func (r *recordReader) fragment() (typ byte, data []byte, ok bool) {
	for {
		if r.pos >= r.end {
			return 0, nil, false
		}
		page := r.loadPage()
		if r.err != nil {
			return 0, nil, false
		}
		inPage := int(r.pos % pageSize)
		rest := page[inPage:]
		if pageSize-inPage < fragmentHeaderSize {
			// Padding. Whole pages only: at the end of the file there is none.
			r.pos += int64(len(rest))
			if !allZero(rest) {
				return 0, nil, false
			}
			continue
		}
		if r.padded && rest[0] == fragmentEnd && allZero(rest) {
			r.pos += int64(len(rest))
			continue
		}
		if len(rest) < fragmentHeaderSize {
			r.pos += int64(len(rest))
			return 0, nil, false
		}
		size, ok := fragmentAt(rest)
		if !ok {
			r.pos += int64(nextFragment(rest))
			return 0, nil, false
		}
		r.pos += int64(fragmentHeaderSize + size)
		return rest[0], rest[fragmentHeaderSize : fragmentHeaderSize+size], true
	}
}

// fragmentAt says whether b, the rest of a page, begins with a fragment, and how long its data is. A zero type,
// "the rest of the page is empty", is none: our writer leaves fewer bytes empty than a header has, so what
// reads as zeros was lost.
func fragmentAt(b []byte) (size int, ok bool) {
	typ, size := b[0], int(binary.BigEndian.Uint16(b[1:]))
	kind := typ & fragmentTypeMask
	if kind == fragmentEnd || kind > fragmentLast || typ&fragmentReserved != 0 ||
		typ&flagSnappy != 0 && typ&flagZstd != 0 || fragmentHeaderSize+size > len(b) {
		return 0, false
	}
	data := b[fragmentHeaderSize : fragmentHeaderSize+size]
	return size, crc32.Checksum(data, castagnoli) == binary.BigEndian.Uint32(b[3:])
}

// nextFragment looks for the next fragment in the rest of a page, whose first one is damaged, and returns its
// offset, or that of the end. If only the data is damaged the length says where it is; else every byte may
// be the place: that is slow, and done for damaged pages only.
func nextFragment(b []byte) int {
	if at := fragmentHeaderSize + int(binary.BigEndian.Uint16(b[1:])); at+fragmentHeaderSize <= len(b) {
		if _, ok := fragmentAt(b[at:]); ok {
			return at
		}
	}
	for at := 1; at+fragmentHeaderSize <= len(b); at++ {
		if _, ok := fragmentAt(b[at:]); ok {
			return at
		}
	}
	return len(b)
}

// loadPage returns the page of r.pos, cut at the end of the part.
func (r *recordReader) loadPage() []byte {
	start := r.pos - r.pos%pageSize
	if start < r.pageOff || start >= r.pageOff+int64(len(r.page)) {
		n := int(min(readAhead, r.end-start))
		if cap(r.page) < readAhead {
			r.page = make([]byte, readAhead)
		}
		r.page, r.pageOff = r.page[:n], start
		if n, err := r.file.ReadAt(r.page, start); n < len(r.page) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF // the file was longer a moment ago
			}
			r.err = err
			return nil
		}
	}
	from := start - r.pageOff
	return r.page[from:min(from+pageSize, int64(len(r.page)))]
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

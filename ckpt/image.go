package ckpt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cespare/xxhash/v2"
)

// Image is an image of a stripe, to be loaded. Its header and table of hashes have been checked.
type Image struct {
	Entry Entry // Entry.Commit is the commit from which the log goes on
	Meta  Meta  // Meta.Commit is the commit at which the image was written
	slot  *slot
	table []byte
}

// Size is the size of the arena in the image, in bytes.
func (im *Image) Size() uint64 { return uint64(im.Meta.Extents) * ExtentSize }

// readSize is how much is read before it is hashed: it is still in the cache then.
const readSize = 256 << 10

// ReadTo reads the image into dst, which has Size bytes, and checks every extent: one pass, straight to
// where it belongs. It does not say that the contents make sense; the engine's walk does.
func (im *Image) ReadTo(dst []byte) error {
	if uint64(len(dst)) != im.Size() {
		return fmt.Errorf("ckpt: read an image of %d bytes into %d", im.Size(), len(dst))
	}
	table := im.table
	for off := int64(dataOffset); len(dst) > 0; {
		piece := dst[:min(len(dst), readSize)]
		if err := readFull(im.slot, piece, off, "data"); err != nil {
			return err
		}
		for i := 0; i < len(piece); i += ExtentSize {
			want := binary.LittleEndian.Uint64(table)
			if got := xxhash.Sum64(piece[i : i+ExtentSize]); got != want {
				return &CorruptError{
					File: im.slot.name, Offset: off + int64(i), Want: want, Got: got,
					What: fmt.Sprintf("extent %d of %d", (off+int64(i)-dataOffset)/ExtentSize, im.Meta.Extents),
				}
			}
			table = table[hashSize:]
		}
		off += int64(len(piece))
		dst = dst[len(piece):]
	}
	// The slot and the arena are the same now: the next image needs only what changes from here on.
	im.slot.table, im.slot.extents, im.slot.whole = im.table, im.Meta.Extents, true
	return nil
}

// openImage checks header and table of the image that e names.
func (s *slot) openImage(id *Identity, stripe int, e Entry) (*Image, error) {
	if err := s.open(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &CorruptError{File: s.name, What: "file", Err: err}
		}
		return nil, fmt.Errorf("ckpt: open image: %w", err)
	}
	b := make([]byte, dataOffset)
	n, err := s.file.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, &CorruptError{File: s.name, What: "image header", Err: err}
	}
	h, sum, err := decodeHeader(s.name, b[:n])
	if err != nil {
		return nil, err
	}
	if err := h.belongsTo(s.name, id, stripe); err != nil {
		return nil, err
	}
	switch {
	case sum != e.Header:
		// A later image than the one named: the publication of that one failed and is found all the same, and the next
		// one was on its way into the slot.
		return nil, &CorruptError{
			File: s.name, What: "checksum of the header, against the catalogue,", Want: e.Header, Got: sum,
			Unfinished: h.meta.Commit > e.Commit,
		}
	case h.meta.Commit > e.Commit:
		return nil, &CorruptError{File: s.name, What: "commit in the header, against the catalogue,", Want: e.Commit, Got: h.meta.Commit}
	}
	// Before memory is taken for it.
	if want := slotSize(h.meta.Extents); s.size < want {
		return nil, &CorruptError{File: s.name, Offset: s.size, What: "size of the file", Want: uint64(want), Got: uint64(s.size)}
	}
	im := &Image{Entry: e, Meta: h.meta, slot: s, table: make([]byte, int(h.meta.Extents)*hashSize)}
	off := tableOffset(h.meta.Extents)
	if err := readFull(s, im.table, off, "table of hashes"); err != nil {
		return nil, err
	}
	if got := xxhash.Sum64(im.table); got != h.tableHash {
		return nil, &CorruptError{File: s.name, Offset: off, What: "table of hashes", Want: h.tableHash, Got: got}
	}
	return im, nil
}

// readFull reads all of b. A read that fails counts as damage: the disk does not give the bytes back.
func readFull(s *slot, b []byte, off int64, what string) error {
	n, err := s.file.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &CorruptError{File: s.name, Offset: off + int64(n), What: what, Err: err}
}

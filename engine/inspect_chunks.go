package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/rekindledb/rekindle/arena/disk"
)

// ClosedChunk is what stands at one place of a chunk file. It is reused for the next one.
type ClosedChunk struct {
	Off, End   int64
	Fault      string // what is wrong with these bytes; then nothing else is known
	Ref        uint64
	MinT, MaxT int64
	Encoding   uint8
	OutOfOrder bool
	// Where the series' chunk before this one is; file 0 = there is none.
	PrevFile uint32
	PrevOff  int64
	Data     []byte
}

// Samples is how many samples the chunk holds: every encoding of chunkenc begins with that.
func (c *ClosedChunk) Samples() int {
	if len(c.Data) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(c.Data))
}

// ChunkFileInfo is the header of a chunk file, and how far there are chunks in it. Behind that it is empty: files are
// allocated ahead of need.
type ChunkFileInfo struct {
	Stripe     uint32
	Generation uint64
	Range      int64 // number of the block range: the chunks begin at Range*2h
	ID         uint32
	Size, End  int64
	Fault      string // what is wrong with the header
}

const outOfOrderChunk = 1 << 0 // of chunkHead.flags

// InspectChunks reads a chunk file from its first byte to its last and calls visit for each chunk, and for bytes
// that are none. It changes nothing. How much of the file counts is said by the images, see ckpt.Meta.
func InspectChunks(fsys disk.FS, name string, visit func(*ClosedChunk) error) (ChunkFileInfo, error) {
	b, err := disk.ReadFile(fsys, name)
	if err != nil {
		return ChunkFileInfo{}, fmt.Errorf("engine: read chunk file: %w", err)
	}
	info := ChunkFileInfo{Size: int64(len(b)), End: int64(min(len(b), fileHeadSize))}
	h, err := parseFileHead(b)
	if err != nil {
		info.Fault = err.Error()
	}
	info.Stripe, info.Generation, info.Range, info.ID = h.stripe, h.generation, h.rng, h.id
	for off := fileHeadSize; off < len(b); {
		if allZero(b[off:]) {
			break
		}
		c := ClosedChunk{Off: int64(off)}
		head, data, err := parseChunk(b[off:])
		if err != nil {
			c.Fault = err.Error()
			off = nextChunk(b, off)
		} else {
			c.Ref, c.MinT, c.MaxT, c.Encoding = head.ref, head.minT, head.maxT, head.encoding
			c.OutOfOrder = head.flags&outOfOrderChunk != 0
			c.PrevFile, c.PrevOff, c.Data = head.prev.file(), head.prev.offset(), data
			off += chunkSize(len(data))
		}
		c.End = int64(min(off, len(b)))
		info.End = c.End
		if err := visit(&c); err != nil {
			return info, err
		}
	}
	return info, nil
}

// nextChunk returns where behind the damaged chunk at off the next sound one is, or the end. If the damaged one's
// size was spared, it says.
func nextChunk(b []byte, off int) int {
	if len(b)-off >= chunkHeadSize {
		at := off + chunkSize(int(binary.LittleEndian.Uint16(b[off+4:])))
		if at >= len(b) || isChunk(b[at:]) {
			return min(at, len(b))
		}
	}
	for at := off + chunkAlign; at < len(b); at += chunkAlign {
		if isChunk(b[at:]) {
			return at
		}
	}
	return len(b)
}

func isChunk(b []byte) bool {
	_, _, err := parseChunk(b)
	return err == nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

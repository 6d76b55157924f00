package engine

import (
	"testing"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// Whatever a chunk file holds, InspectChunks accounts for every byte up to where it says that chunks end, once, and comes
// to an end.
func FuzzInspectChunks(f *testing.F) {
	file := fileHead{stripe: 1, generation: 7, rng: 3, id: 2}.append(nil)
	file = appendChunk(file, chunkHead{ref: 9, minT: 1, maxT: 5, encoding: kindXOR}, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	file = appendChunk(file, chunkHead{ref: 9, minT: 6, maxT: 7, encoding: kindXOR, prev: makeLink(2, fileHeadSize)}, []byte{0, 1, 2})
	f.Add(file)
	f.Add(append(file, make([]byte, 100)...))
	f.Add(file[:len(file)-5])
	f.Fuzz(func(t *testing.T, b []byte) {
		mem, name := faultfs.NewMem(), "/01-000002"
		if err := disk.WriteFileAtomic(mem, name, b); err != nil {
			t.Fatal(err)
		}
		at := int64(fileHeadSize)
		info, err := InspectChunks(mem, name, func(c *ClosedChunk) error {
			if c.Off != at || c.End <= c.Off || c.End > int64(len(b)) {
				t.Fatalf("chunk from %d to %d behind %d, of %d bytes", c.Off, c.End, at, len(b))
			}
			at = c.End
			_ = c.Samples()
			return nil
		})
		if err != nil || len(b) >= fileHeadSize && info.End != at {
			t.Fatalf("ends at %d, not at %d: %v", info.End, at, err)
		}
	})
}

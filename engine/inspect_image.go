package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"path/filepath"

	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/ckpt"
)

// ImageContents is what an image holds, with the closed chunks that it names.
type ImageContents struct {
	Series, Samples uint64
	MinT, MaxT      int64 // of the samples; MinT > MaxT if there are none
	Open, Closed    int   // chunks
	// Unreadable are faults of closed chunks, the first few; Faults counts them. Each costs the series one chunk and
	// those before it.
	Unreadable []error
	Faults     int
}

// faultsMax is how many faults of an image's closed chunks are told one by one.
const faultsMax = 20

// InspectImage reads the image that an entry of a tenant's catalogue names as a start would: every checksum, the walk
// over its contents, and beyond that every closed chunk of every series, sample by sample. It needs the memory of this
// one stripe and changes nothing. See ckpt.CheckImage for its error.
func InspectImage(fsys disk.FS, dir string, id ckpt.Identity, of int, e ckpt.Entry) (ImageContents, error) {
	c := ImageContents{MinT: math.MaxInt64, MaxT: math.MinInt64}
	err := ckpt.CheckImage(fsys, dir, id, of, e, func(im *ckpt.Image) error {
		if im.Meta.Layout > arenaLayout {
			return fmt.Errorf("image layout %d was written by a newer version; this one knows %d", im.Meta.Layout, arenaLayout)
		}
		a, err := arena.Load(stripeReserve(int(id.Stripes)), im.Size(), im.ReadTo)
		if err != nil {
			return err
		}
		s := stripe{id: of, log: uint(bits.TrailingZeros32(id.Stripes))}
		s.chunks = newChunkStore(fsys, filepath.Join(dir, chunksDir), of, id.Generation)
		if err = s.take(a, im.Meta.Layout); err == nil {
			lengths := map[uint32]int64{}
			for _, f := range im.Meta.Chunks {
				lengths[uint32(f.ID)] = f.Length
			}
			c.note(s.chunks.adopt(s.chunks.dir, lengths))
			c.read(&s)
		}
		return errors.Join(err, s.chunks.close(), s.detach())
	})
	return c, err
}

func (c *ImageContents) note(err error) {
	if err == nil {
		return
	}
	if c.Faults++; len(c.Unreadable) < faultsMax {
		c.Unreadable = append(c.Unreadable, err)
	}
}

// read takes all samples of a stripe that was walked.
func (c *ImageContents) read(s *stripe) {
	var it chunkenc.Iterator
	cp := copier{mint: math.MinInt64, maxt: math.MaxInt64}
	_ = cp.each(context.Background(), s, s.allIndexes(), func(f *found, _ int, err error) error {
		c.note(err)
		c.Series++
		c.Open += f.hi - f.lo
		c.Closed += len(cp.chunks) - (f.hi - f.lo)
		for _, ch := range cp.chunks {
			if it, err = c.decode(ch, it); err != nil {
				c.note(fmt.Errorf("series %d, chunk from %d to %d: %w", f.ref, ch.MinT, ch.MaxT, err))
			}
		}
		return nil
	})
}

// decode counts the samples of a chunk.
func (c *ImageContents) decode(ch Chunk, it chunkenc.Iterator) (chunkenc.Iterator, error) {
	x, err := chunkenc.FromData(ch.Enc, ch.Data)
	if err != nil {
		return it, err
	}
	it = x.Iterator(it)
	n, last := 0, int64(math.MinInt64)
	for it.Next() != chunkenc.ValNone {
		t := it.AtT()
		if n == 0 && t != ch.MinT || n > 0 && t <= last {
			return it, fmt.Errorf("sample %d has time %d, behind %d", n, t, last)
		}
		n, last = n+1, t
	}
	if err := it.Err(); err != nil {
		return it, fmt.Errorf("behind %d of %d samples: %w", n, x.NumSamples(), err)
	}
	if n != x.NumSamples() || last != ch.MaxT {
		return it, fmt.Errorf("%d of %d samples, the last at %d", n, x.NumSamples(), last)
	}
	c.Samples += uint64(n)
	c.MinT, c.MaxT = min(c.MinT, ch.MinT), max(c.MaxT, ch.MaxT)
	return it, nil
}

package arena

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// make1 makes an empty arena one of layout 1.
func make1(t *testing.T, a *Arena) {
	h := a.header()
	require.Zero(t, h.free)
	require.Zero(t, h.cur[Chunks])
	h.layout = 1
}

// alloc1 and release1 are what layout 1 did.
func (a *Arena) alloc1(class uint8) (Ref, error) {
	free := &a.header().free1()[class]
	if r := *free; r != 0 {
		*free = *At[Ref](a, r)
		return r, nil
	}
	size := classSizes1[class]
	if c := &a.header().cur[Chunks]; c.next+uint64(size) > c.end {
		c.next = c.end // what is left was lost
	}
	return a.Alloc(Chunks, size)
}

func (a *Arena) release1(r Ref, class uint8) {
	free := &a.header().free1()[class]
	*At[Ref](a, r) = *free
	*free = r
}

// All memory of an arena of layout 1 that chunks had becomes free blocks: the open ones, the free ones of every class, the
// rests of spans and what lay between them. Nothing else is touched, not even where it lies between two chunks.
func TestCarve(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 5))
		a, err := New(64 << 20)
		require.NoError(t, err)
		make1(t, a)
		type chunk struct {
			r     Ref
			class uint8
		}
		var (
			open   []chunk
			others []Ref
			mixed  = seed%2 == 1
		)
		all := func() (all, chunks Claims) {
			all, chunks = NewClaims(a), NewClaims(a)
			require.True(t, all.AddFree())
			for _, c := range open {
				require.True(t, all.Add(c.r, uint64(ClassSize1(c.class))))
				require.True(t, chunks.Add(c.r, uint64(ClassSize1(c.class))))
			}
			for _, r := range others {
				require.True(t, all.Add(r, 24))
			}
			return all, chunks
		}
		for i := range 4000 {
			switch p := Labels; rng.IntN(4) {
			case 0:
				if mixed && i%10 == 0 {
					p = Chunks // as in an image that is not what it says
					if c := &a.header().cur[p]; c.next+24 > c.end {
						continue
					}
				}
				r, err := a.Alloc(p, 24)
				require.NoError(t, err)
				for i := range a.Bytes(r, 24) {
					a.Bytes(r, 24)[i] = 0xab
				}
				others = append(others, r)
			case 1:
				if len(open) > 0 {
					k := rng.IntN(len(open))
					a.release1(open[k].r, open[k].class)
					open[k] = open[len(open)-1]
					open = open[:len(open)-1]
				}
			default:
				class := uint8(rng.IntN(len(classSizes1)))
				r, err := a.alloc1(class)
				require.NoError(t, err)
				open = append(open, chunk{r, class})
			}
		}
		image := bytes.Clone(a.Snapshot())
		require.NoError(t, a.Release())
		a, err = Load(64<<20, uint64(len(image)), func(dst []byte) error { copy(dst, image); return nil })
		require.NoError(t, err)
		require.Equal(t, uint32(1), a.Layout())
		a.Carve(all())
		require.Equal(t, uint32(layout), a.Layout())
		require.NoError(t, a.check(a.Size()))

		n := 0
		for r := a.header().free; r != 0; r = *At[Ref](a, r) {
			n++
		}
		if have := uint64(n) * BlockSize; mixed {
			require.Less(t, have, a.Used(Chunks))
			require.Greater(t, have, a.Used(Chunks)/2)
		} else {
			require.Equal(t, a.Used(Chunks), have)
		}
		after := NewClaims(a)
		require.True(t, after.AddFree())
		for _, r := range others {
			require.True(t, after.Add(r, 24), "free blocks share bytes with something else")
		}
		size := a.Size()
		for last := Ref(0); n > 0; n-- {
			r, err := a.AllocBlock()
			require.NoError(t, err)
			require.Greater(t, r, last, "blocks are given out as they lie")
			clear(a.Bytes(r, BlockSize))
			last = r
		}
		require.Equal(t, size, a.Size())
		for _, r := range others {
			require.Equal(t, bytes.Repeat([]byte{0xab}, 24), a.Bytes(r, 24))
		}
		// What an image of the carved arena needs is what differs from the one that it was loaded from.
		var c Copy
		c.Begin(a, 0, false)
		c.Finish(a)
		for _, run := range c.Runs() {
			copy(image[int(run.First)*ExtentSize:], run.Data)
		}
		require.Equal(t, a.Snapshot(), image)
		require.NoError(t, a.Release())
	}
}

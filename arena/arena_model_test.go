package arena

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// testRoot is a client's root with one of each structure.
type testRoot struct {
	table Table
	index Index
	list  List
}

func rootOf(a *Arena) *testRoot { return (*testRoot)(a.Root()) }

// chain is a chain of blocks, each full of its fill.
type chain struct {
	refs []Ref
	fill []byte
}

// claim claims chains, of all but chain k as many blocks as they have, of that one some more or fewer.
func claim(c Claims, chains []chain, k, more int) (bad int) {
	last, blocks := make([]Ref, len(chains)), make([]int, len(chains))
	for i := range chains {
		last[i], blocks[i] = chains[i].last(), len(chains[i].refs)
		if i == k {
			blocks[i] += more
		}
	}
	return c.AddChains(last, blocks)
}

func (c *chain) last() Ref {
	if len(c.refs) == 0 {
		return 0
	}
	return c.refs[len(c.refs)-1]
}

func (c *chain) grow(t *testing.T, a *Arena, fill byte) {
	r, err := a.AllocBlock()
	require.NoError(t, err)
	for i := range a.Bytes(r, BlockSize) {
		a.Bytes(r, BlockSize)[i] = fill
	}
	*At[Ref](a, r) = c.last()
	c.refs, c.fill = append(c.refs, r), append(c.fill, fill)
}

func (c *chain) check(t *testing.T, a *Arena) {
	t.Helper()
	for i, r := range c.refs {
		require.Zero(t, r%blockUnits, "a block lies in two cache lines")
		require.Equal(t, bytes.Repeat(c.fill[i:i+1], BlockSize-4), a.Bytes(r, BlockSize)[4:], "a block was given out twice")
	}
}

// Random operations on an arena and on Go maps and slices; after each round the arena is imaged into two
// slots in turn, by a Copy of what has changed, and loaded back from them. In some rounds most of the copy is made
// while the operations go on. A structure that forgets to touch what it stores, and a copy that misses what changes
// behind it, show as a slot that differs from the arena.
func TestModel(t *testing.T) {
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 1))
		a, err := New(64 << 20)
		require.NoError(t, err)
		var (
			table  = map[uint32][]uint32{}
			index  = map[uint32]Ref{}
			list   []uint32
			chunks []chain
			slots  [2][]byte
			value  uint32
			c      Copy
		)
		for round := range 24 {
			r := rootOf(a)
			s, step := uint8(round%2), rng.IntN(3)
			c.Begin(a, s, slots[s] == nil)
			for range rng.IntN(3000) {
				value++
				if step > 0 && rng.IntN(20) == 0 {
					c.Step(a, step*rng.IntN(4)*ExtentSize)
				}
				if step > 0 && rng.IntN(200) == 0 {
					c.Again(a)
					require.False(t, c.Step(a, 1<<30))
					require.Zero(t, c.Again(a), "all were copied just now")
				}
				switch rng.IntN(7) {
				case 0:
					tag := uint32(rng.IntN(50)) * 0x9e3779b1 // many of the same
					require.NoError(t, r.table.Insert(a, tag, value, uint32(seed)))
					table[tag] = append(table[tag], value)
				case 1:
					tag := rng.Uint32()
					require.NoError(t, r.table.Insert(a, tag, value, uint32(seed)))
					table[tag] = append(table[tag], value)
				case 2:
					i := uint32(rng.IntN(1 << 21))
					require.NoError(t, r.index.Set(a, i, Ref(value)))
					index[i] = Ref(value)
				case 3:
					require.NoError(t, r.list.Append(a, value))
					a.TouchRoot()
					list = append(list, value)
				case 4:
					n := 1 + rng.IntN(5)
					var ch chain
					for range n {
						ch.grow(t, a, byte(value))
					}
					chunks = append(chunks, ch)
				case 5:
					if len(chunks) > 0 {
						chunks[rng.IntN(len(chunks))].grow(t, a, byte(value))
					}
				default:
					if len(chunks) > 0 {
						k := rng.IntN(len(chunks))
						a.FreeBlocks(chunks[k].last(), chunks[k].refs[0])
						chunks = slices.Delete(chunks, k, k+1)
					}
				}
			}
			c.Finish(a)
			for _, run := range c.Runs() {
				end := int(run.First)*ExtentSize + len(run.Data)
				if len(slots[s]) < end {
					slots[s] = append(slots[s], make([]byte, end-len(slots[s]))...)
				}
				copy(slots[s][int(run.First)*ExtentSize:], run.Data)
			}
			require.Equal(t, a.Snapshot(), slots[s], "slot %d is not the arena, seed %d", s, seed)

			b, err := Load(64<<20, uint64(len(slots[s])), func(dst []byte) error { copy(dst, slots[s]); return nil })
			require.NoError(t, err)
			for _, x := range []*Arena{a, b} {
				r, claims := rootOf(x), NewClaims(x)
				require.True(t, claims.AddFree())
				require.True(t, r.table.Check(x, claims))
				require.True(t, r.index.Check(x, claims))
				for tag, want := range table {
					var got []uint32
					for c := r.table.Find(x, tag); ; {
						v := c.Next()
						if v == 0 {
							break
						}
						got = append(got, v)
					}
					slices.Sort(got)
					require.Equal(t, want, got)
				}
				for i, want := range index {
					require.Equal(t, want, r.index.Get(x, i))
				}
				n := 0
				r.index.Walk(x, func(i uint32, ref Ref) bool { n++; return index[i] == ref })
				require.Len(t, index, n)
				require.Equal(t, list, r.list.AppendTo(x, nil))
				var seen []uint32
				require.True(t, r.list.Check(x, claims, func(v []uint32) bool { seen = append(seen, v...); return true }))
				require.Equal(t, list, seen)
				for _, ch := range chunks {
					ch.check(t, x)
				}
				require.Equal(t, -1, claim(claims, chunks, 0, 0), "chains share bytes with something else")
				if len(chunks) > 0 {
					k := rng.IntN(len(chunks))
					require.Equal(t, k, claim(NewClaims(x), chunks, k, -1), "shorter than it is")
					require.Equal(t, k, claim(NewClaims(x), chunks, k, 1), "longer than it is")
					require.Equal(t, 0, claim(claims, chunks[k:], 0, 0), "it is claimed")
				}
			}
			require.NoError(t, b.Release())
		}
		require.NoError(t, a.Release())
	}
}

// What RoomForBlocks says is enough, and no more than a span too much, wherever the last span ends.
func TestRoomForBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	for range 200 {
		a, err := New(4 << 20)
		require.NoError(t, err)
		for range rng.IntN(3000) {
			if rng.IntN(50) == 0 {
				_, err = a.Alloc(Labels, 200)
			} else {
				_, err = a.AllocBlock()
			}
			require.NoError(t, err)
		}
		n := rng.IntN(40_000)
		if err := a.Ensure(RoomForBlocks(n)); err != nil {
			require.ErrorIs(t, err, ErrFull)
			require.Greater(t, a.Size()+uint64(n)*BlockSize+spanMax*ExtentSize, uint64(4<<20))
		} else {
			committed := a.region.Committed()
			for range n {
				_, err := a.AllocBlock()
				require.NoError(t, err)
			}
			require.Equal(t, committed, a.region.Committed(), "nothing had to be asked of the system")
		}
		require.NoError(t, a.Release())
	}
}

// Bytes of an image changed anywhere: Load refuses it or the structures' checks do, or what they describe is
// still inside the arena. Nothing may be read outside of it.
func TestDamage(t *testing.T) {
	a, err := New(16 << 20)
	require.NoError(t, err)
	r := rootOf(a)
	for i := range uint32(3000) {
		require.NoError(t, r.table.Insert(a, i*0x9e3779b1, i+1, 0))
		require.NoError(t, r.index.Set(a, i, Ref(1)))
		require.NoError(t, r.list.Append(a, i+1))
	}
	var ch, freed chain
	for range 5 {
		ch.grow(t, a, 7)
		freed.grow(t, a, 9)
	}
	a.FreeBlocks(freed.last(), freed.refs[0])
	good := slices.Clone(a.Snapshot())
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		bad := slices.Clone(good)
		for range 1 + rng.IntN(3) {
			off := rng.IntN(int(unsafe.Sizeof(testRoot{})) + headerSize)
			if rng.IntN(2) == 0 {
				off = rng.IntN(len(bad))
			}
			bad[off] = byte(rng.Uint32())
		}
		b, err := View(bad)
		if err != nil {
			require.ErrorIs(t, err, ErrDamaged)
			continue
		}
		r := rootOf(b)
		claims := NewClaims(b)
		_ = claims.AddFree() && claim(claims, []chain{ch}, 0, 0) < 0 && r.table.Check(b, claims) && r.index.Check(b, claims)
		_ = r.list.Check(b, claims, func([]uint32) bool { return true })
	}
	require.NoError(t, a.Release())
}

// A region that is used up says so, and what was there stays as it was.
func TestFull(t *testing.T) {
	a, err := New(2 << 20)
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Release()) }()
	n := 0
	for ; ; n++ {
		if _, err = a.Alloc(Records, 64); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, ErrFull)
	require.Greater(t, n, 20000)
	require.ErrorIs(t, a.Ensure(1<<20), ErrFull)
	_, err = Load(2<<20, a.Size(), func(dst []byte) error { copy(dst, a.Snapshot()); return nil })
	require.NoError(t, err)
}

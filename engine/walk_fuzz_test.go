package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"sync"
	"testing"
	"unsafe"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
	"github.com/rekindledb/rekindle/engine/xor"
)

// baseImages are the arenas that fuzzing begins from: from one series to more than one leaf of the index, with long
// lists of series, replaced tables, freed chunks and closed ones; the last one of the layout before.
var baseImages = sync.OnceValue(func() [][]byte {
	var out [][]byte
	for _, n := range []int{1, 40, 300, 1500} {
		s := walkedStripe()
		for k := range 70 {
			if k > 3 && n > 300 {
				break
			}
			check(s.send(n, k))
		}
		out = append(out, append([]byte(nil), s.a.Snapshot()...))
		check(s.detach())
	}
	return append(out, layout1Arena())
})

// walkedStripe is stripe 1 of 2, with its chunk files in memory.
func walkedStripe() *stripe {
	mem := faultfs.NewMem()
	check(mem.MkdirAll("/chunks", 0o777))
	return &stripe{id: 1, log: 1, bias: 1, reserve: 64 << 20, chunks: newChunkStore(mem, "/chunks", 1, 1)}
}

// send appends the k-th sample to each of n series.
func (s *stripe) send(n, k int) error {
	var b Batch
	rng := rand.New(rand.NewPCG(uint64(n), uint64(k)))
	for i := range n {
		l := labels.FromStrings("__name__", fmt.Sprint("metric", i%3), "i", fmt.Sprint(i), "job", "a job", fmt.Sprint("l", i%40), "v")
		v := Sample{T: testNow.UnixMilli() + int64(k)*300_000, V: rng.Uint64() >> (rng.IntN(2) * 40)}
		add(&b, l, v)
	}
	return s.appendAlone(&b, bounds{minT: earliest, maxT: 1 << 60}, &outcome{})
}

// mutate changes an image by a list of orders of 8 bytes each: where (4), how (1), with what (3).
func mutate(image, orders []byte) {
	words := uint32(len(image) / 4)
	word := func(at uint32) []byte { return image[at%words*4:][:4] }
	for ; len(orders) >= 8; orders = orders[8:] {
		at, how, with := binary.LittleEndian.Uint32(orders), orders[4], uint32(orders[5])|uint32(orders[6])<<8|uint32(orders[7])<<16
		if how&1 == 1 {
			at %= 4096 / 4 // header and root, where a change means most
		}
		w := word(at)
		old := binary.LittleEndian.Uint32(w)
		switch how >> 1 % 6 {
		case 0:
			old = with
		case 1:
			old += with
		case 2:
			old -= with
		case 3:
			old ^= 1 << (with % 32)
		case 4:
			old = binary.LittleEndian.Uint32(word(with))
		case 5:
			other := word(with)
			old, with = binary.LittleEndian.Uint32(other), old
			binary.LittleEndian.PutUint32(other, with)
		}
		binary.LittleEndian.PutUint32(w, old)
	}
}

// guarded is a copy of an image between pages that nobody may touch, itself only for reading.
func guarded(t testing.TB, image []byte) []byte {
	page := os.Getpagesize()
	mem, err := unix.Mmap(-1, 0, len(image)+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(mem)) })
	copy(mem[page:], image)
	require.NoError(t, unix.Mprotect(mem, unix.PROT_NONE))
	inner := mem[page : page+len(image) : page+len(image)]
	require.NoError(t, unix.Mprotect(inner, unix.PROT_READ))
	return inner
}

// orders makes a list of orders for mutate.
func orders(list ...[3]uint32) (out []byte) {
	for _, o := range list {
		out = binary.LittleEndian.AppendUint32(out, o[0])
		out = binary.LittleEndian.AppendUint32(out, o[1]&0xff|o[2]<<8)
	}
	return out
}

// FuzzWalk: whatever an image holds, the walk reads nothing outside of it, changes nothing, and ends; and what it
// accepts can be used: a stripe that is loaded from it answers queries and takes samples, old series and new ones,
// and is accepted again.
func FuzzWalk(f *testing.F) {
	f.Add(uint8(0), []byte{})
	f.Add(uint8(2), []byte{})
	f.Add(uint8(3), []byte{})
	f.Add(uint8(4), []byte{})
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 200 {
		f.Add(uint8(i%5), orders([3]uint32{rng.Uint32(), rng.Uint32(), rng.Uint32() >> rng.IntN(24)}))
	}
	f.Fuzz(func(t *testing.T, base uint8, changes []byte) {
		image := append([]byte(nil), baseImages()[int(base)%len(baseImages())]...)
		mutate(image, changes)
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		seen := guarded(t, image)
		err := walkAny(seen)
		if len(changes) == 0 {
			require.NoError(t, err)
		}
		if err != nil {
			require.ErrorIs(t, err, arena.ErrDamaged)
			return
		}
		useStripe(t, image)
	})
}

// walkAny walks an image of any layout.
func walkAny(image []byte) error {
	a, err := arena.View(image)
	if err != nil {
		return err
	}
	s := stripe{id: 1, log: 1}
	s.attach(a)
	return s.walk()
}

// useStripe loads an image that the walk accepts and does everything with it that a process does.
func useStripe(t *testing.T, image []byte) {
	defer func(f func(int, any, []byte)) { exit = f }(exit)
	exit = func(_ int, cause any, stack []byte) { panic(fmt.Sprintf("%v\n%s", cause, stack)) }
	s := walkedStripe()
	a, err := arena.Load(s.reserve, uint64(len(image)), func(mem []byte) error { copy(mem, image); return nil })
	require.NoError(t, err)
	defer func() { require.NoError(t, s.detach()) }()
	require.NoError(t, s.take(a, a.Layout()))
	require.NoError(t, s.walk(), "as it is now")
	queryStripe(t, s)
	for k := range 6 {
		for _, n := range []int{40, 80} {
			if err := s.send(n, 70+20*k); errors.Is(err, arena.ErrFull) {
				return // all indexes are used up
			}
		}
	}
	s.tail.Store(0)
	s.takePending(nil, 1)
	require.NoError(t, s.walk(), "after appends")
	queryStripe(t, s)
	size := 0
	for _, r := range copyOf(s.a, 0) {
		size += len(r.Data)
	}
	require.Equal(t, size, int(s.a.Size()))
}

func queryStripe(t *testing.T, s *stripe) {
	c, err := newMatchCache(1 << 20)
	require.NoError(t, err)
	defer c.close()
	for _, m := range []*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, "job", "a job"),
		labels.MustNewMatcher(labels.MatchRegexp, "i", "1.*"),
		labels.MustNewMatcher(labels.MatchNotEqual, "l1", ""),
		labels.MustNewMatcher(labels.MatchNotRegexp, "__name__", "metric1"),
	} {
		q := newMatching(t.Context(), c, nil, []*labels.Matcher{m})
		indexes, err := q.matches(s)
		require.NoError(t, err)
		found := distinct{}
		require.NoError(t, addNamesOf(t.Context(), s, indexes, found))
		for name := range found {
			require.NoError(t, (&valueCollector{name: name, found: distinct{}}).addOf(t.Context(), s, indexes))
		}
		series, err := (&copier{mint: -1 << 62, maxt: 1 << 62}).selectSeries(t.Context(), s, indexes, make([]Series, len(indexes)))
		if err != nil {
			continue // closed chunks whose files are not there
		}
		for _, x := range series {
			_ = x.Labels.String()
			for _, ch := range x.Chunks {
				if chunk, err := chunkenc.FromData(ch.Enc, ch.Data); err == nil {
					for it, n := chunk.Iterator(nil), 0; it.Next() != chunkenc.ValNone && n < 10_000; n++ {
						it.At()
					}
				}
			}
		}
	}
	for _, n := range s.allNames() {
		_ = string(s.nameBytes(refOf(n)))
	}
	key := keyOf(labels.FromStrings("a", "b"))
	s.find(key, xxhash.Sum64(key))
}

// Words of the header and root, where a change means most, and here and there in the rest, are set to what does harm.
// What the walk lets pass does none. It is FuzzWalk without chance.
func TestWalkChangedWords(t *testing.T) {
	for _, image := range [][]byte{baseImages()[1], layout1Arena()} {
		testChangedWords(t, image)
	}
}

func testChangedWords(t *testing.T, image []byte) {
	try := func(at, how, with uint32) {
		changed := append([]byte(nil), image...)
		mutate(changed, orders([3]uint32{at, how << 1, with}))
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() {
			if p := recover(); p != nil {
				t.Errorf("%v\n%s", p, debug.Stack())
			}
			if t.Failed() {
				t.Fatalf("word %d, change %d with %d", at, how, with)
			}
		}()
		if walkAny(changed) == nil {
			useStripe(t, changed)
		}
	}
	stride := uint32(1)
	if underRace {
		stride = 29
	}
	const first = 4096 / 4
	harm := []uint32{0, 1, 0xffffff, 512, uint32(len(image) / 8)}
	for at := uint32(0); at < first; at += stride {
		if at*4 < 256 || at*4 >= 1024 && at*4 < 1024+uint32(unsafe.Sizeof(root{})) {
			try(at, 0, harm[at%5])
			try(at, 1, 8)
			try(at, 2, 8)
		}
	}
	for at := uint32(first); at < uint32(len(image)/4); at += 211 * stride {
		try(at, 0, 0)
		try(at, at%4, at%32)
		try(at, 2, 8)
	}
}

// An open chunk that is not the chain of blocks that its state says is found, whichever way its links go, and no walk goes
// round in a circle.
func TestWalkChangedChains(t *testing.T) {
	s := walkedStripe()
	for k := 22; k < 22+blockRange/300_000; k++ { // a whole block range
		check(s.send(20, k))
	}
	s.takePending(nil, 1)
	require.NoError(t, s.walk())
	var long, other *record
	for _, i := range s.allIndexes() {
		if r := s.record(i); r.state.Blocks() > 2 {
			long, other = r, long
		}
	}
	require.NotNil(t, other, "two series with chunks of some blocks")
	last := s.block(long.chunk)
	before := s.block(arena.Ref(last.Prev))
	first := before
	for first.Prev != 0 {
		first = s.block(arena.Ref(first.Prev))
	}
	var ch arena.Ref // a free block
	for free := range 2 {
		if free == 1 {
			ch = s.newBlock(0)
			s.a.FreeBlocks(ch, ch)
		}
		for name, change := range map[string]func(){
			"shorter":          func() { before.Prev = 0 },
			"longer":           func() { first.Prev = uint32(ch) },
			"the end is lost":  func() { last.Prev = 0 },
			"a block less":     func() { long.chunk = arena.Ref(last.Prev) },
			"itself":           func() { last.Prev = uint32(long.chunk) },
			"a circle":         func() { first.Prev = uint32(long.chunk) },
			"another's":        func() { before.Prev = s.block(other.chunk).Prev },
			"another's end":    func() { long.chunk = other.chunk },
			"between blocks":   func() { last.Prev++ },
			"outside":          func() { before.Prev = 1 << 31 },
			"the header":       func() { before.Prev = 8 },
			"more bits":        func() { long.state.Bits += xor.BlockBytes * 8 },
			"fewer bits":       func() { long.state.Bits -= xor.BlockBytes * 8 },
			"of no bits":       func() { long.state.Bits = 0 },
			"as many as there": func() { long.state.Bits, long.state.N = math.MaxUint16, 1000 },
			"free":             func() { s.a.FreeBlocks(long.chunk, long.chunk) },
			"a free circle":    func() { s.a.FreeBlocks(long.chunk, arena.Ref(last.Prev)); before.Prev = uint32(long.chunk) },
		} {
			if name == "longer" && free == 0 {
				continue
			}
			image := append([]byte(nil), s.a.Snapshot()...)
			change()
			changed := append([]byte(nil), s.a.Snapshot()...)
			copy(s.a.Snapshot(), image)
			require.ErrorIs(t, walkImage(1, 1, changed), arena.ErrDamaged, name)
		}
	}
	require.NoError(t, s.walk(), "all of it was put back")
	require.NoError(t, s.detach())
}

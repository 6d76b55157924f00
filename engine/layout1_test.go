package engine

import (
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena"
)

// layout1Contents is what testdata/chunks1.tar.gz holds: series whose open chunks were of many sizes, some of them behind
// closed ones, in two stripes. The last rounds are in the log alone.
func layout1Contents() map[string][]Sample {
	want := map[string][]Sample{}
	begin := testNow.UnixMilli()/blockRange*blockRange + 1000
	for k := range layout1Rounds {
		for i := range 300 {
			// Series i ends after a number of samples of its own; every tenth has random values.
			if k >= 1+i*7%layout1Rounds {
				continue
			}
			s := sample(begin+int64(k)*15_000, float64(k*(i%4)))
			if i%10 == 9 {
				s.V = rand.New(rand.NewPCG(uint64(i), uint64(k))).Uint64()
			}
			l := labels.FromStrings("__name__", fmt.Sprint("m", i%7), "i", fmt.Sprint(i))
			want[l.String()] = append(want[l.String()], s)
		}
	}
	return want
}

const layout1Rounds = 140

// testdata/chunks1.tar.gz was written by the last version that wrote layout 1, which pushed the rounds and stopped after
// the 51st, the 101st and the 131st: the images that are loaded are those of the 131st, with open chunks in twelve size
// classes, and free memory of others. They are read, go on to take samples, and are written again in the
// present layout.
func TestOpenChunksOfLayout1(t *testing.T) {
	want := layout1Contents()
	c := testConfig(t)
	unpack(t, filepath.Join("testdata", "chunks1.tar.gz"), c.Dir)
	e := start(t, c)
	require.Equal(t, want, contents(t, e, "tenant"))
	var st Stats
	e.Tenant("tenant").Stats(&st)
	require.NotZero(t, st.Recover.ImageBytes)
	require.Zero(t, st.Recover.Losses+int(st.Recover.ImagesDamaged))
	require.NotZero(t, st.Recover.Samples, "the log is replayed")
	require.Less(t, st.Recover.Samples, uint64(10*300), "behind the images")
	walked := func() {
		for i := range e.Tenant("tenant").stripes {
			s := &e.Tenant("tenant").stripes[i]
			s.takePending(nil, 1)
			require.Equal(t, uint32(arenaLayout), s.a.Layout())
			require.NoError(t, walkImage(s.id, s.log, s.a.Snapshot()))
		}
	}
	walked()

	last := testNow.UnixMilli()/blockRange*blockRange + layout1Rounds*15_000
	for round := range 2 {
		for k := range 70 {
			var b Batch
			for i := range 300 {
				if i%3 == round {
					continue
				}
				l := labels.FromStrings("__name__", fmt.Sprint("m", i%7), "i", fmt.Sprint(i))
				x := sample(last+int64(round*70+k+1)*15_000, float64(i%5*k))
				add(&b, l, x)
				want[l.String()] = append(want[l.String()], x)
			}
			push(t, e, "tenant", &b)
			if k == 30 {
				require.NoError(t, e.Checkpoint(t.Context()))
			}
		}
		require.Equal(t, want, contents(t, e, "tenant"))
		require.NoError(t, e.Close())
		e = start(t, c)
		require.Equal(t, want, contents(t, e, "tenant"))
		walked()
	}
	require.NoError(t, e.Close())
}

// An image says twice of which layout it is. If one contradicts the other it is damaged, and not converted.
func TestLayoutsContradict(t *testing.T) {
	for layout, image := range map[uint32][]byte{1: baseImages()[1], 2: layout1Arena()} {
		s := walkedStripe()
		a, err := arena.Load(s.reserve, uint64(len(image)), func(mem []byte) error { copy(mem, image); return nil })
		require.NoError(t, err)
		require.ErrorIs(t, s.take(a, layout), arena.ErrDamaged)
		require.NoError(t, s.detach())
	}
	require.ErrorIs(t, walkImage(1, 1, layout1Arena()), arena.ErrDamaged)
}

// layout1Arena is the second of baseImages as the last version that wrote layout 1 made it.
func layout1Arena() []byte {
	f, err := os.Open(filepath.Join("testdata", "arena1.gz"))
	check(err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	check(err)
	b, err := io.ReadAll(z)
	check(err)
	return b
}

// What was open in an arena of layout 1 is open afterwards, and its memory is no more than it was but for the chunks that
// were smaller than a block.
func TestFromLayout1(t *testing.T) {
	image := layout1Arena()
	now, then := walkedStripe(), walkedStripe()
	for s, image := range map[*stripe][]byte{now: baseImages()[1], then: image} {
		a, err := arena.Load(s.reserve, uint64(len(image)), func(mem []byte) error { copy(mem, image); return nil })
		require.NoError(t, err)
		require.NoError(t, s.take(a, a.Layout()))
		defer func() { require.NoError(t, s.detach()) }()
	}
	require.Equal(t, uint32(arenaLayout), then.a.Layout())
	require.NoError(t, then.walk())
	require.Equal(t, uint64(len(image)), then.a.Size())
	open := 0
	for _, i := range now.allIndexes() {
		a, b := now.record(i), then.record(i)
		require.Equal(t, a.state, b.state)
		require.Equal(t, a.chunk == 0, b.chunk == 0)
		require.Zero(t, *b.class1())
		if a.chunk != 0 {
			open++
			x, y := make([]byte, a.state.Size()), make([]byte, b.state.Size())
			now.gather(x, a)
			then.gather(y, b)
			require.Equal(t, x, y, "series %d", i)
		}
	}
	require.Equal(t, 40, open)
}

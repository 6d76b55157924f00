package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// closedChunk is a chunk that was handed to a chunkStore.
type closedChunk struct {
	l    link
	ref  uint64
	data string
}

// When sync returns nil, everything that lengths named before is durable: contents and names. Every operation on files
// fails, once or until somebody sees to the disk, with nothing or a part of it done, and chunks are closed while others
// are being written; sync is called again until it returns nil; then the power is cut, and all chunks of the image are
// read from what is left. A chunk that is not in its file yet is read from memory all the time.
func TestChunkFilesOfAnImageAreDurable(t *testing.T) {
	for _, rule := range []*faultfs.Rule{
		{Kinds: faultfs.Mutations, Times: 1, Err: unix.EIO},
		{Kinds: faultfs.Mutations, Times: 1, Err: unix.EIO, Late: true},
		{Kinds: faultfs.Mutations, Times: 2, Err: unix.EIO},
		{Kinds: faultfs.Write | faultfs.Create | faultfs.Allocate, Err: unix.ENOSPC, Tear: 500},
	} {
		for n, fault := range faultfs.Every(rule) {
			s := chunkScenario{
				t: t, fault: fault, rng: rand.New(rand.NewPCG(uint64(n), 1)), mem: faultfs.NewMem(), root: &root{nextFile: 1},
				name: fmt.Sprintf("%v at operation %d, %d times, late %t", rule.Err, n, rule.Times, rule.Late),
			}
			s.run()
		}
	}
}

type chunkScenario struct {
	t     *testing.T
	name  string
	fault *faultfs.Rule
	rng   *rand.Rand
	mem   *faultfs.Mem

	mu    sync.Mutex // the stripe's
	root  *root
	store *chunkStore
	all   []closedChunk
}

func (s *chunkScenario) run() {
	require.NoError(s.t, s.mem.MkdirAll("/chunks", 0o777))
	require.NoError(s.t, s.mem.SyncDir("/"))
	meanwhile := &faultfs.Rule{Kinds: faultfs.Write, Before: func(faultfs.Op) { s.add() }}
	s.store = newChunkStore(faultfs.Inject(s.mem, meanwhile, s.fault), "/chunks", 0, 1)
	for step := range 7 {
		for range 1 + s.rng.IntN(4) {
			s.add()
		}
		switch step {
		case 1, 4:
			_ = s.store.flush(&s.mu)
		case 2, 6:
			s.image()
		}
	}
	require.NoError(s.t, s.store.close())
}

// add closes a chunk.
func (s *chunkScenario) add() {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := s.rng.IntN(3000)
	if s.rng.IntN(8) == 0 {
		size *= 23 // up to more than a block takes, with the header
	}
	x := closedChunk{ref: uint64(len(s.all)), data: fmt.Sprint(len(s.all)) + string(make([]byte, min(size, math.MaxUint16-8)))}
	x.l = s.store.add(s.root, chunkHead{ref: x.ref, minT: int64(s.rng.IntN(3)) * blockRange, encoding: kindXOR}, []byte(x.data))
	s.all = append(s.all, x)
}

// image makes durable what an image taken now would name, and looks whether it is.
func (s *chunkScenario) image() {
	t := s.t
	s.mu.Lock()
	named, chunks := s.store.lengths(), slices.Clone(s.all)
	s.mu.Unlock()
	for tries := 0; s.store.sync(&s.mu) != nil; tries++ {
		require.Less(t, tries, 10, s.name)
		if tries == 3 {
			s.fault.Clear()
		}
	}
	for _, x := range s.all {
		if raw := s.store.inMemory(x.l); raw == nil {
			_, data, err := s.store.read(x.l, x.ref, nil)
			require.NoError(t, err, s.name)
			require.Equal(t, x.data, string(data), s.name)
		}
	}
	after := newChunkStore(s.mem.Crash(s.rng), "/chunks", 0, 1)
	require.NoError(t, after.adopt("/chunks", named), s.name)
	for _, x := range chunks {
		_, data, err := after.read(x.l, x.ref, nil)
		require.NoError(t, err, "%s: chunk %d in %s", s.name, x.ref, chunkFileName(0, x.l.file()))
		require.Equal(t, x.data, string(data), s.name)
	}
	require.NoError(t, after.close())
}

// A file that is named by an image and is somebody else's, or of a newer layout, is not taken for ours.
func TestForeignChunkFile(t *testing.T) {
	mem := faultfs.NewMem()
	require.NoError(t, mem.MkdirAll("/chunks", 0o777))
	make := func(stripe int, generation uint64) map[uint32]int64 {
		c := newChunkStore(mem, "/chunks", stripe, generation)
		r, mu := &root{nextFile: 1}, &sync.Mutex{}
		c.add(r, chunkHead{encoding: kindXOR}, []byte("some data"))
		require.NoError(t, c.sync(mu))
		named := c.lengths()
		require.NoError(t, c.close())
		return named
	}
	named := make(3, 77)
	name := filepath.Join("/chunks", chunkFileName(3, 1))
	adopt := func(generation uint64) error {
		c := newChunkStore(mem, "/chunks", 3, generation)
		err := c.adopt("/chunks", named)
		_, data, rerr := c.read(makeLink(1, fileHeadSize), 0, nil)
		require.True(t, err != nil && rerr != nil || string(data) == "some data", "%v, %v, %q", err, rerr, data)
		require.NoError(t, c.close())
		return err
	}
	require.NoError(t, adopt(77))
	require.ErrorContains(t, adopt(78), "generation")

	make(4, 77)
	require.NoError(t, mem.Rename(filepath.Join("/chunks", chunkFileName(4, 1)), name))
	require.ErrorContains(t, adopt(77), "stripe 4")

	// A damaged header says nothing: the chunks have checksums and references of their own.
	flip(t, mem, name, 8)
	require.ErrorContains(t, adopt(77), "checksum")
}

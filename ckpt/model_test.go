package ckpt

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
)

const testDir = "data/anonymous"

func testIdentity(stripes uint32) Identity {
	return Identity{Tenant: "anonymous", Generation: 7, Stripes: stripes, HashID: 1, RefLayout: 1}
}

func testConfig(fsys disk.FS) Config {
	return Config{FS: fsys, Dir: testDir, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// model is a stripe's arena: memory, and which extents changed since each slot was written.
type model struct {
	stripe int
	mem    []byte
	dirty  [2]map[uint32]bool
	// past is what the stripe held at each commit at which an image was taken.
	past map[uint64][]byte
}

func newModel(stripe int) *model {
	return &model{stripe: stripe, dirty: [2]map[uint32]bool{{}, {}}, past: map[uint64][]byte{}}
}

// loaded is a model whose memory came from an image in a slot.
func loaded(stripe int, mem []byte) *model {
	m := newModel(stripe)
	m.mem = mem
	return m
}

func (m *model) extents() uint32 { return uint32(len(m.mem) / ExtentSize) }

func (m *model) touch(extent uint32) {
	m.dirty[0][extent] = true
	m.dirty[1][extent] = true
}

// change grows the arena a little and stores into some of its extents.
func (m *model) change(r *rand.Rand) {
	for range r.IntN(3) + min(1, 1-min(1, len(m.mem))) {
		m.mem = append(m.mem, make([]byte, ExtentSize)...)
		m.touch(m.extents() - 1)
	}
	for range 1 + r.IntN(6) {
		off := r.IntN(len(m.mem))
		m.mem[off]++
		m.touch(uint32(off / ExtentSize))
	}
}

// runs copies what changed since the slot was written, as arena.Copy does.
func (m *model) runs(slot SlotID, all bool) []arena.Run {
	if all {
		for i := range m.extents() {
			m.dirty[slot][i] = true
		}
	}
	var runs []arena.Run
	for _, i := range slices.Sorted(maps.Keys(m.dirty[slot])) {
		data := bytes.Clone(m.mem[i*ExtentSize:][:ExtentSize])
		if n := len(runs); n > 0 && runs[n-1].First+uint32(len(runs[n-1].Data)/ExtentSize) == i {
			runs[n-1].Data = append(runs[n-1].Data, data...)
			continue
		}
		runs = append(runs, arena.Run{First: i, Data: data})
	}
	clear(m.dirty[slot])
	return runs
}

func (m *model) meta(commit uint64) Meta {
	return Meta{
		Commit: commit, Extents: m.extents(), Layout: 1, Epoch: 1, Floor: -5, Series: 3, MaxIndex: commit * 10,
		MinTime: 1000, MaxTime: int64(commit), Segment: commit / 2,
		Chunks: []ChunkFile{{ID: 1, Length: int64(commit) * 100}, {ID: 9, Length: 64}},
	}
}

// write takes an image as far as it can go without a sync.
func (m *model) write(s *Store, commit uint64) (*Writer, error) {
	m.past[commit] = bytes.Clone(m.mem)
	w := s.Begin(m.stripe)
	if err := w.Write(m.meta(commit), m.runs(w.Slot, w.All)); err != nil {
		return nil, err
	}
	return w, w.Walk(func(image []byte) error {
		if !bytes.Equal(image, m.mem) {
			return fmt.Errorf("the image in slot %s is not the memory: %w", w.Slot, arena.ErrDamaged)
		}
		return nil
	})
}

// take takes an image and publishes it.
func (m *model) take(s *Store, commit uint64) error {
	w, err := m.write(s, commit)
	if err == nil {
		err = w.Sync()
	}
	if err == nil {
		err = s.Publish(Update{Images: []*Writer{w}, SyncedThrough: commit})
	}
	return err
}

// load returns what Load finds, and the bytes; nil bytes if nothing or an empty stripe.
func load(s *Store, stripe int) (Loaded, Meta, []byte, error) {
	var mem []byte
	var meta Meta
	l, err := s.Load(stripe, func(im *Image) error {
		mem, meta = make([]byte, im.Size()), im.Meta
		if err := im.ReadTo(mem); err != nil {
			mem = nil
			return err
		}
		return nil
	})
	return l, meta, mem, err
}

// must ends the test if err is an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustStore(t testing.TB, s *Store, err error) *Store {
	t.Helper()
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

package ckpt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
	"golang.org/x/sys/unix"
)

// TestEveryFault lets every single operation on the disk fail once: with an error, after half a write, or on a
// full disk. The failing image is reported as failed, what was published before is still there after a power cut
// at that moment, and the next image of the same stripe succeeds and is right.
func TestEveryFault(t *testing.T) {
	for name, kind := range map[string]*faultfs.Rule{
		"fails":      {Kinds: faultfs.Mutations, Err: unix.EIO},
		"torn":       {Kinds: faultfs.Write, Err: unix.EIO, Tear: 3000},
		"full":       {Kinds: faultfs.Write | faultfs.Allocate | faultfs.Create, Err: unix.ENOSPC},
		"unreadable": {Kinds: faultfs.OpenRW | faultfs.Map, Err: unix.EMFILE},
	} {
		t.Run(name, func(t *testing.T) {
			kind.Times = 1
			var hit faultfs.Op
			kind.Before = func(op faultfs.Op) { hit = op }
			for n, fault := range faultfs.Every(kind) {
				if err := oneFault(uint64(n), fault, &hit); err != nil {
					t.Fatalf("fault %d, %v: %v", n, hit, err)
				}
			}
		})
	}
}

func oneFault(seed uint64, fault *faultfs.Rule, hit *faultfs.Op) error {
	mem := faultfs.NewMem()
	r := rand.New(rand.NewPCG(seed, 1))
	st := &story{r: r, m: newModel(0), cfg: testConfig(faultfs.Inject(mem, fault))}
	if err := st.create(); err != nil {
		if fault.Fired() == 0 {
			return err
		}
		if _, err := Open(testConfig(mem), "anonymous"); err != nil {
			if err := st.create(); err != nil { // the next try
				return err
			}
		} else if st.s, err = Open(st.cfg, "anonymous"); err != nil {
			return err
		}
		st.created = true
	}
	for commit := uint64(10); commit <= 60; commit += 10 {
		fired := fault.Fired()
		err := st.image(commit)()
		// Space that is only asked for ahead of need may be refused.
		if faulty := fault.Fired() > fired; faulty != (err != nil) && hit.Kind != faultfs.Allocate {
			return fmt.Errorf("image at %d: fault fired %v, error: %v", commit, faulty, err)
		}
		if commit < 60 && fault.Fired() == fired {
			continue
		}
		for range 4 {
			if err := st.check(mem.Crash(r), st.durable); err != nil {
				return fmt.Errorf("power cut after the image at %d: %w", commit, err)
			}
		}
		if err := st.check(mem.Kill(), st.written); err != nil {
			return fmt.Errorf("killed after the image at %d: %w", commit, err)
		}
	}
	if st.durable < 50 {
		return fmt.Errorf("only commit %d was published", st.durable)
	}
	return nil
}

// TestFullDisk shows that images and publications need no space once the slots have their size, and that a
// stripe which has grown gets an error, keeps its newest image, and goes on when there is space again.
func TestFullDisk(t *testing.T) {
	mem := faultfs.NewMem()
	st := &story{r: rand.New(rand.NewPCG(1, 1)), m: newModel(0), cfg: testConfig(mem)}
	for _, f := range []func() error{st.create, st.image(10), st.image(20)} {
		must(t, f())
	}
	mem.SetCapacity(0)
	for commit := uint64(30); commit < 60; commit += 10 {
		st.m.mem[0]++
		st.m.touch(0)
		must(t, st.m.take(st.s, commit))
	}
	must(t, st.idle(50, 55)())

	for range 200 {
		st.m.change(st.r)
	}
	if err := st.m.take(st.s, 60); !disk.IsFull(err) {
		t.Fatalf("grown on a full disk: %v", err)
	}
	l, _, _, err := load(reopen(t, mem.Kill()), 0)
	if err != nil || l.Entry.Commit != 55 {
		t.Fatalf("%+v, %v", l, err)
	}
	mem.SetCapacity(-1)
	must(t, st.m.take(st.s, 70))
	if _, _, got, err := load(reopen(t, mem.Kill()), 0); err != nil || !bytes.Equal(got, st.m.mem) {
		t.Fatalf("with space again: %v", err)
	}
}

func reopen(t *testing.T, fsys disk.FS) *Store {
	t.Helper()
	s, err := Open(testConfig(fsys), "anonymous")
	return mustStore(t, s, err)
}

// TestSyncIsNotRepeated shows that after a failed sync the image cannot be published by trying again, because
// the kernel may have thrown the pages away and calls the second sync good: everything is written anew.
func TestSyncIsNotRepeated(t *testing.T) {
	mem := faultfs.NewMem()
	fault := &faultfs.Rule{Kinds: faultfs.Sync, Path: "images/*", Err: unix.EIO, Times: 1}
	st := &story{r: rand.New(rand.NewPCG(1, 1)), m: newModel(0), cfg: testConfig(faultfs.Inject(mem, fault))}
	must(t, st.create())
	st.m.change(st.r)
	w, err := st.m.write(st.s, 10)
	must(t, err)
	if err := w.Sync(); !errors.Is(err, unix.EIO) {
		t.Fatalf("first sync: %v", err)
	}
	if err := w.Sync(); !errors.Is(err, ErrOrder) {
		t.Fatalf("second sync: %v", err)
	}
	if err := st.s.Publish(Update{Images: []*Writer{w}, SyncedThrough: 10}); !errors.Is(err, ErrOrder) {
		t.Fatalf("publication: %v", err)
	}
	if again := st.s.Begin(0); again.Slot != w.Slot || !again.All {
		t.Fatalf("the next image goes to slot %s, all %v", again.Slot, again.All)
	}
}

// TestPublishAgain shows that a publication that failed may be repeated with the same image.
func TestPublishAgain(t *testing.T) {
	mem := faultfs.NewMem()
	fault := &faultfs.Rule{Kinds: faultfs.Sync, Path: "catalogue", Err: unix.EIO, Times: 1}
	st := &story{r: rand.New(rand.NewPCG(1, 1)), m: newModel(0), cfg: testConfig(faultfs.Inject(mem, fault))}
	must(t, st.create())
	fault.Arm()
	st.m.change(st.r)
	w, err := st.m.write(st.s, 10)
	must(t, err)
	must(t, w.Sync())
	u := Update{Images: []*Writer{w}, SyncedThrough: 10}
	if err := st.s.Publish(u); !errors.Is(err, unix.EIO) {
		t.Fatalf("first publication: %v", err)
	}
	if len(st.s.Entries(0)) != 0 {
		t.Fatal("a failed publication is in effect")
	}
	must(t, st.s.Publish(u))
	if l, _, _, err := load(reopen(t, mem.Crash(st.r)), 0); err != nil || l.Entry.Commit != 10 {
		t.Fatalf("%+v, %v", l, err)
	}
}

// TestWalkOfALostPage shows that a page which the disk does not give back while the image is walked is an error
// and not the end of the process. The file is cut under the mapping, which faults in the same way.
func TestWalkOfALostPage(t *testing.T) {
	cfg := testConfig(disk.OS)
	cfg.Dir = t.TempDir()
	s, err := Create(cfg, testIdentity(1))
	s = mustStore(t, s, err)
	m := newModel(0)
	m.change(rand.New(rand.NewPCG(1, 1)))
	w := s.Begin(0)
	must(t, w.Write(m.meta(5), m.runs(w.Slot, w.All)))
	sum := 0
	err = w.Walk(func(image []byte) error {
		must(t, os.Truncate(cfg.slotPath(0, w.Slot), 0))
		for _, b := range image {
			sum += int(b)
		}
		return nil
	})
	var c *CorruptError
	if !errors.As(err, &c) || !errors.Is(err, arena.ErrDamaged) {
		t.Fatalf("walk of a cut file: %v (sum %d)", err, sum)
	}
	if err := w.Sync(); !errors.Is(err, ErrOrder) {
		t.Fatalf("an image that was not walked can be synced: %v", err)
	}
}

// TestWalkFails shows that an image which the engine finds wrong is not published, and that a panic of the walk
// is not mistaken for a bad disk.
func TestWalkFails(t *testing.T) {
	s, err := Create(testConfig(faultfs.NewMem()), testIdentity(1))
	s = mustStore(t, s, err)
	m := newModel(0)
	m.change(rand.New(rand.NewPCG(1, 1)))
	w := s.Begin(0)
	must(t, w.Write(m.meta(5), m.runs(w.Slot, w.All)))
	if err := w.Walk(func([]byte) error { return arena.ErrDamaged }); !errors.Is(err, arena.ErrDamaged) {
		t.Fatalf("walk: %v", err)
	}
	if err := s.Publish(Update{Images: []*Writer{w}, SyncedThrough: 5, Unsynced: true}); !errors.Is(err, ErrOrder) {
		t.Fatalf("publication: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Fatal("the walk's panic was swallowed")
		}
	}()
	_ = w.Walk(func([]byte) error { panic("a mistake in the walk") })
}

// TestWrongOrder shows that each step refuses to be taken before or after its time, and runs that leave a hole.
func TestWrongOrder(t *testing.T) {
	s, err := Create(testConfig(faultfs.NewMem()), testIdentity(1))
	s = mustStore(t, s, err)
	r := rand.New(rand.NewPCG(1, 1))
	m := newModel(0)
	m.change(r)
	must(t, m.take(s, 10))
	must(t, m.take(s, 20))

	w := s.Begin(0)
	expect := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	expect("sync before write", w.Sync(), ErrOrder)
	expect("walk before write", w.Walk(nil), ErrOrder)
	expect("publish before write", s.Publish(Update{Images: []*Writer{w}, SyncedThrough: 99}), ErrOrder)
	must(t, w.Write(m.meta(30), m.runs(w.Slot, w.All)))
	expect("write twice", w.Write(m.meta(30), nil), ErrOrder)
	expect("sync before walk", w.Sync(), ErrOrder)
	must(t, w.Walk(func([]byte) error { return nil }))
	expect("publish before sync", s.Publish(Update{Images: []*Writer{w}, SyncedThrough: 99}), ErrOrder)
	must(t, w.Sync())
	expect("publish before the log", s.Publish(Update{Images: []*Writer{w}, SyncedThrough: 29}), ErrOrder)
	expect("idle before the log", s.Publish(Update{Idle: []Idle{{To: 30}}, SyncedThrough: 29}), ErrOrder)
	second := s.Begin(0)
	expect("an old writer", s.Publish(Update{Images: []*Writer{w}, SyncedThrough: 99}), ErrStale)
	if !second.All {
		t.Error("an image was given up, and the next one does not write all")
	}
	m.change(r)
	for len(m.mem) < 6*ExtentSize {
		m.change(r)
	}
	all := m.runs(second.Slot, true)[0].Data
	run := func(first, end uint32) arena.Run {
		return arena.Run{First: first, Data: all[first*ExtentSize : end*ExtentSize]}
	}
	n := m.extents()
	for what, runs := range map[string][]arena.Run{
		"nothing":       nil,
		"hole in front": {run(1, n)},
		"hole":          {run(0, 2), run(3, n)},
		"hole behind":   {run(0, n-1)},
		"descending":    {run(2, n), run(0, 2)},
		"twice":         {run(0, 3), run(2, n)},
		"empty run":     {run(0, n), {First: n}},
		"half extent":   {{First: 0, Data: all[:len(all)-100]}},
		"outside":       {{First: 1, Data: all}},
	} {
		expect("runs with "+what, second.Write(m.meta(40), runs), ErrRuns)
	}
	meta := m.meta(40)
	meta.Chunks = make([]ChunkFile, maxChunkFiles+1)
	if err := second.Write(meta, []arena.Run{run(0, n)}); err == nil {
		t.Error("more chunk files than fit were accepted")
	}
	must(t, second.Write(m.meta(40), []arena.Run{run(0, 2), run(2, n)}))

	// An image that grew since its slot was written: what is new must be there, also when not all is asked for.
	must(t, m.take(s, 50))
	must(t, m.take(s, 60))
	third := s.Begin(0)
	m.mem = append(m.mem, make([]byte, 2*ExtentSize)...)
	m.touch(m.extents() - 1)
	expect("grown without the new extents", third.Write(m.meta(70), m.runs(third.Slot, third.All)), ErrRuns)
	if _, err := os.Stat("data"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something was written to the real disk")
	}
}

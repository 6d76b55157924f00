package ckpt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// story is the life of a tenant with one stripe, and what it may rely on at each moment.
type story struct {
	cfg Config
	s   *Store
	m   *model
	r   *rand.Rand

	created bool
	durable uint64 // the stripe comes back at this commit or a later one after a power cut
	written uint64 // and at this one or a later one when the process is killed, until the next image is begun:
	// an image of a clean stop is written over, and the log still reaches back to the durable one
	begun uint64 // and never beyond this one
	cut   uint64 // the log was cut to here
}

func (st *story) create() error {
	s, err := Create(st.cfg, testIdentity(1))
	st.s, st.created = s, err == nil
	return err
}

// image takes an image; it is durable once it is published.
func (st *story) image(commit uint64) func() error {
	return func() error {
		st.begun, st.written = commit, st.durable
		st.m.change(st.r)
		if err := st.m.take(st.s, commit); err != nil {
			return err
		}
		st.durable, st.written, st.cut = commit, commit, st.s.CutPoint()
		return nil
	}
}

// idle moves the stripe, which got nothing since the commit, in the catalogue.
func (st *story) idle(since, to uint64) func() error {
	return func() error {
		st.begun = to
		if err := st.s.Publish(Update{Idle: []Idle{{Stripe: 0, Since: since, To: to}}, SyncedThrough: to}); err != nil {
			return err
		}
		// An image that a clean stop left unsynced is moved too, and is still no promise.
		if st.durable >= since {
			st.durable = to
		}
		st.written, st.cut = to, st.s.CutPoint()
		return nil
	}
}

// stop is a clean stop: an image without a sync. Then the next process starts.
func (st *story) stop(commit uint64) func() error {
	return func() error {
		st.begun, st.written = commit, st.durable
		st.m.change(st.r)
		w, err := st.m.write(st.s, commit)
		if err != nil {
			return err
		}
		if err := st.s.Publish(Update{Images: []*Writer{w}, Unsynced: true, SyncedThrough: commit}); err != nil {
			return err
		}
		st.written, st.cut = commit, st.s.CutPoint()
		return st.start()
	}
}

// start closes the store and opens it again, as the next process does.
func (st *story) start() error {
	if err := st.s.Close(); err != nil {
		return err
	}
	s, err := Open(st.cfg, "anonymous")
	if err != nil {
		return err
	}
	st.s = s
	_, _, mem, err := load(s, 0)
	past := st.m.past
	st.m = loaded(0, mem)
	st.m.past = past
	return err
}

func (st *story) steps() []func() error {
	return []func() error{
		st.create, st.idle(0, 5), st.image(10), st.image(20), st.idle(20, 25), st.image(30), st.start, st.image(40), st.image(50),
		st.stop(60), st.image(70), st.image(80), st.stop(90), st.idle(90, 95), st.stop(100), st.image(110), st.idle(105, 120), st.image(130),
	}
}

// check opens a disk as it was found after a power cut or a kill, and looks whether the promises were kept.
func (st *story) check(fsys disk.FS, least uint64) error {
	s, err := Open(testConfig(fsys), "anonymous")
	if errors.Is(err, fs.ErrNotExist) && !st.created {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Close()
	l, meta, mem, err := load(s, 0)
	if err != nil {
		return err
	}
	for _, f := range l.Failed {
		if !errors.Is(f, ErrUnfinished) {
			return fmt.Errorf("reported as damage: %w", f)
		}
	}
	if !l.Found {
		if least > 0 {
			return fmt.Errorf("nothing found (%v), commit %d was promised", l.Failed, least)
		}
		return nil
	}
	c := l.Entry.Commit
	if c < least || c > st.begun || c < st.cut {
		return fmt.Errorf("found commit %d: promised %d, begun %d, log cut to %d", c, least, st.begun, st.cut)
	}
	if l.Entry.Slot != SlotNone && !bytes.Equal(mem, st.m.past[meta.Commit]) {
		return fmt.Errorf("the image at commit %d is not what was taken at %d", c, meta.Commit)
	}
	for at := range st.m.past {
		if at > meta.Commit && at <= c {
			return fmt.Errorf("the image at commit %d (written at %d) lacks what was taken at %d", c, meta.Commit, at)
		}
	}

	// And it goes on from there: whatever the crash left in the slots does not shine through.
	m := loaded(0, mem)
	for i := range uint64(2) {
		m.change(st.r)
		if err := m.take(s, c+1+i); err != nil {
			return fmt.Errorf("going on: %w", err)
		}
	}
	again, err := Open(testConfig(fsys), "anonymous")
	if err != nil {
		return err
	}
	defer again.Close()
	if l, _, mem, err := load(again, 0); err != nil || l.Entry.Commit != c+2 || !bytes.Equal(mem, m.mem) {
		return fmt.Errorf("after going on to commit %d: %+v, %w", c+2, l, err)
	}
	return nil
}

// TestPowerCutAndKill cuts the power and kills the process before every single operation on the disk in a
// tenant's life, several times each, as a power cut has many outcomes. What comes back is the newest image that was
// promised or a newer one, whole, and never one that the log no longer reaches.
func TestPowerCutAndKill(t *testing.T) {
	const outcomes = 8
	seed := rand.Uint64()
	mem := faultfs.NewMem()
	st := &story{r: rand.New(rand.NewPCG(seed, 1)), m: newModel(0)}
	cuts := rand.New(rand.NewPCG(seed, 2))
	ops, step := 0, 0
	st.cfg = testConfig(faultfs.Inject(mem, &faultfs.Rule{
		Kinds: faultfs.Mutations,
		Before: func(op faultfs.Op) {
			ops++
			for range outcomes {
				if err := st.check(mem.Crash(cuts), st.durable); err != nil {
					t.Fatalf("seed %d, step %d, power cut before %v: %v", seed, step, op, err)
				}
			}
			if err := st.check(mem.Kill(), st.written); err != nil {
				t.Fatalf("seed %d, step %d, killed before %v: %v", seed, step, op, err)
			}
		},
	}))
	for i, f := range st.steps() {
		step = i
		if err := f(); err != nil {
			t.Fatalf("seed %d, step %d: %v", seed, i, err)
		}
	}
	if err := st.check(mem.Crash(cuts), st.durable); err != nil {
		t.Fatalf("seed %d, at the end: %v", seed, err)
	}
	if ops < 100 {
		t.Fatalf("only %d operations were cut", ops)
	}
}

// TestCrashInRecovery cuts the power, starts again, and cuts the power again while that process takes its
// first images.
func TestCrashInRecovery(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for round := range 150 {
		mem := faultfs.NewMem()
		st := &story{r: r, m: newModel(0), cfg: testConfig(mem)}
		steps := st.steps()
		for _, f := range steps[:2+r.IntN(len(steps)-2)] {
			must(t, f())
		}
		disk := mem
		for life := range 3 {
			disk = disk.Crash(r)
			if err := st.check(disk.Kill(), st.durable); err != nil {
				t.Fatalf("seed %d, round %d, life %d: %v", seed, round, life, err)
			}
			// Another life: part of an image, perhaps all of it.
			s, err := Open(testConfig(disk), "anonymous")
			must(t, err)
			l, meta, bytesOf, err := load(s, 0)
			must(t, err)
			past := st.m.past
			// What was not in the image that came back never happened.
			for at := range past {
				if at > meta.Commit {
					delete(past, at)
				}
			}
			st.m, st.s = loaded(0, bytesOf), s
			st.m.past = past
			st.begun = max(st.begun, l.Entry.Commit)
			// Whoever takes over says so before anything else. From then on the catalogue names nothing that he did not
			// find whole: an unsynced image of the life before could become whole again, when the next one in its slot
			// writes the block that it lacked.
			must(t, s.Publish(Update{Epoch: uint64(life) + 2, EpochStart: st.begun + 1, SyncedThrough: s.Catalogue().SyncedThrough}))
			switch commit := st.begun + 10; r.IntN(3) {
			case 0:
				must(t, st.image(commit)())
			case 1:
				st.begun = commit
				st.m.change(r)
				_, err := st.m.write(s, commit)
				must(t, err)
			case 2:
				st.begun = commit
				st.m.change(r)
				w, err := st.m.write(s, commit)
				must(t, err)
				must(t, s.Publish(Update{Images: []*Writer{w}, Unsynced: true, SyncedThrough: commit}))
			}
		}
	}
}

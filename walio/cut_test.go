package walio

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// liveNames is what the engine gives to Cut: references and keys, by stripe.
type liveNames map[uint64]string

func (n liveNames) Live(stripe int) int {
	c := 0
	for ref := range n {
		if int(ref)%int(testIdentity.Stripes) == stripe {
			c++
		}
	}
	return c
}

func (n liveNames) Each(stripe int, after uint64) iter.Seq2[uint64, []byte] {
	return func(yield func(uint64, []byte) bool) {
		for _, ref := range slices.Sorted(maps.Keys(n)) {
			if int(ref)%int(testIdentity.Stripes) == stripe && ref/uint64(testIdentity.Stripes) > after && !yield(ref, []byte(n[ref])) {
				return
			}
		}
	}
}

// learn adds the series that the source has handed out.
func (n liveNames) learn(src *testSource) {
	for _, entries := range src.commits {
		for _, e := range entries {
			if e.key != "" {
				n[e.ref] = e.key
			}
		}
	}
}

// A log that was cut opens in Prometheus with all names and the samples of the tail; a stripe whose images
// are all lost gets its names from the checkpoint; checkpoints share their segments by hard links and are
// written anew when more than half of what they name is dead (C10).
func TestCut(t *testing.T) {
	d, src, w := newTestDir(t), newTestSource(), newWorkload(21)
	names := liveNames{}
	var pos Position
	for start := range 4 {
		l := d.start(pos, src, func(o *Options) { o.SegmentSize = pageSize })
		for range 15 {
			src.add(w.next(900)...)
			wait(t, l)
		}
		if err := l.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		cut := l.Written() - 5
		names.learn(src)
		if start == 3 { // evict most: the next checkpoint has no use for the old names
			for ref := range names {
				if ref%7 != 0 {
					delete(names, ref)
				}
			}
		}
		if err := l.Cut(cut, names); err != nil {
			t.Fatal(err)
		}
		before := d.list()
		if err := l.Cut(cut, names); err != nil || !slices.Equal(d.list().segments, before.segments) {
			t.Fatalf("the same cut again: %v", err)
		}
		closeLog(t, l)
		if len(before.checkpoints) != 1 || before.checkpoints[0] != before.segments[0]-1 || before.segments[0] == 0 {
			t.Fatalf("after the cut: %+v", before)
		}
		from := []uint64{cut, cut, cut, cut}
		res, rec := d.recover(func(o *RecoverOptions) { o.From = from })
		if len(res.Losses) > 0 || res.CheckpointDamaged {
			t.Fatalf("start %d: %+v", start, res)
		}
		d.check(src, rec, from, res.LastCommit)
		pos = res.Position

		if losses := d.checkNames(names, cut); len(losses) != 1 || losses[0].Bound != BoundAtMost {
			t.Fatalf("the samples of stripe 2 before the cut are lost: %+v", losses)
		}
		if got := openStock(t, d.root); len(got) < 20 {
			t.Fatalf("Prometheus sees %d series", len(got))
		}
	}
}

func (d *testDir) list() listing {
	d.t.Helper()
	l, err := listDir(d.fs, d.wal())
	if err != nil {
		d.t.Fatal(err)
	}
	return l
}

// checkNames recovers with stripe 2 from nothing: it must get every live name of its own, once, before the log.
func (d *testDir) checkNames(names liveNames, cut uint64) []Loss {
	d.t.Helper()
	res, rec := d.recover(func(o *RecoverOptions) {
		o.From, o.AsideDir, o.Ledger = []uint64{cut, cut, 0, cut}, "", ""
	})
	got := liveNames{}
	for _, e := range rec.stripes[2] {
		if e.key != "" {
			if old, twice := got[e.ref]; twice && old != e.key {
				d.t.Fatalf("reference %d is %q and %q", e.ref, old, e.key)
			}
			got[e.ref] = e.key
		}
	}
	for ref, key := range names {
		if ref%4 == 2 && got[ref] != key {
			d.t.Fatalf("series %d has no name after the cut at commit %d", ref, cut)
		}
		if index := ref / 4; res.MaxIndex[ref%4] < index {
			d.t.Fatalf("stripe %d: the greatest index is %d, series %d is live", ref%4, res.MaxIndex[ref%4], ref)
		}
	}
	return res.Losses
}

// A stripe that has no series has no image either. Nothing of it is missing when the log was cut.
func TestCutWithEmptyStripe(t *testing.T) {
	d, src, names := newTestDir(t), newTestSource(), liveNames{4: key("a", "b")}
	l := d.start(Position{}, src, func(o *Options) { o.SegmentSize, o.Compression = pageSize, CompressionNone })
	src.add(entry{ref: 4, key: key("a", "b")})
	for i := range int64(12_000) {
		src.add(entry{ref: 4, t: i, v: 1})
		if i%1000 == 0 {
			wait(t, l)
		}
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	cut := l.Written()
	if err := l.Cut(cut, names); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	if n := d.list().segments[0]; n == 0 {
		t.Fatal("nothing was cut")
	}
	from := []uint64{cut, 0, 0, 0}
	res, rec := d.recover(func(o *RecoverOptions) { o.From = from })
	d.check(src, rec, from, res.LastCommit)
	if len(res.Losses) > 0 || res.LastCommit != l.Written() {
		t.Fatalf("%+v", res)
	}
}

// The power is cut, or the process killed, at every operation of a cut: nothing of the log is lost, every
// live name is there, and the directory opens.
func TestCutCrash(t *testing.T) {
	for n := 0; ; n++ {
		rng := rand.New(rand.NewPCG(uint64(n), 3))
		mem := newDisk(t)
		var killed, powerless *faultfs.Mem
		cutting := false
		crash := &faultfs.Rule{Kinds: faultfs.Mutations, Before: func(faultfs.Op) {}}
		seen := 0
		crash.Before = func(faultfs.Op) {
			if cutting {
				if seen == n {
					killed, powerless = mem.Kill(), mem.Crash(rng)
				}
				seen++
			}
		}
		d := &testDir{t, faultfs.Inject(mem, crash), "/d"}
		src, w, names := newTestSource(), newWorkload(22), liveNames{}
		l := d.start(Position{}, src, func(o *Options) { o.SegmentSize = pageSize })
		var cut uint64
		for i := range 24 {
			src.add(w.next(700)...)
			wait(t, l)
			if i != 11 && i != 23 {
				continue
			}
			if err := l.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			cutting, cut = i == 23, l.Written()-3
			names.learn(src)
			if err := l.Cut(cut, names); err != nil {
				t.Fatal(err)
			}
		}
		cutting = false
		last := l.Written()
		closeLog(t, l)
		if killed == nil {
			return
		}
		for what, fs := range map[string]*faultfs.Mem{"killed": killed, "power cut": powerless} {
			c := &testDir{t, fs, "/d"}
			from := []uint64{cut, cut, cut, cut}
			res, rec := c.recover(func(o *RecoverOptions) { o.From = from })
			if res.LastCommit != last || len(res.Losses) > 0 {
				t.Fatalf("%s at operation %d of a cut: %+v", what, n, res)
			}
			c.check(src, rec, from, last)
			c.checkNames(names, cut)
			openStockCopy(t, c)
		}
	}
}

func openStockCopy(t *testing.T, d *testDir) {
	t.Helper()
	openStock(t, export(t, d.fs, d.root))
}

// A checkpoint with a damaged name loses that name only, says so if it is needed, and is written whole again.
func TestDamagedCheckpoint(t *testing.T) {
	mem := newDisk(t)
	d := &testDir{t, mem, "/d"}
	src, w, names := newTestSource(), newWorkload(23), liveNames{}
	l := d.start(Position{}, src, func(o *Options) { o.SegmentSize = pageSize })
	for range 30 {
		src.add(w.next(900)...)
		wait(t, l)
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	names.learn(src)
	last := l.Written()
	if err := l.Cut(last, names); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	name := segmentPath(checkpointPath(d.wal(), d.list().checkpoints[0]), 0)
	f, err := mem.OpenRW(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 100), 500); err != nil {
		t.Fatal(err)
	}
	f.Close()
	res, rec := d.recover(func(o *RecoverOptions) { o.From = []uint64{last, 0, last, last} })
	got := 0
	for _, e := range rec.stripes[1] {
		if e.key != "" && names[e.ref] == e.key {
			got++
		}
	}
	if !res.CheckpointDamaged || len(res.Losses) != 2 || got == 0 && names.Live(1) > 300 {
		t.Fatalf("%d names of %d read: %+v", got, names.Live(1), res)
	}
	l = d.start(res.Position, src)
	if err := l.Cut(last, names); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	if res, _ = d.recover(); res.CheckpointDamaged {
		t.Fatalf("the checkpoint was not written anew: %+v", res)
	}
}

// Recovery may be cancelled at any time and run again: it changes nothing before it is through.
func TestCancelRecovery(t *testing.T) {
	d := newDamaged(t, 24, 40, 900, pageSize)
	for n := range 30 {
		c := d.copy()
		ctx, cancel := context.WithCancel(t.Context())
		c.fs = faultfs.Inject(c.mem, &faultfs.Rule{Skip: n * 6, Times: 1, Before: func(faultfs.Op) { cancel() }})
		_, err := Recover(ctx, c.recoverOptions(), &recorder{})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		c.fs = c.mem
		if res := c.verify(fmt.Sprintf("cancelled at operation %d", 6*n)); len(res.Losses) > 0 {
			t.Fatalf("cancelled at operation %d: %+v", 3*n, res)
		}
		cancel()
	}
	failing := errors.New("no")
	if _, err := Recover(t.Context(), d.recoverOptions(), failingHandler{failing}); !errors.Is(err, failing) {
		t.Fatalf("the handler's error: %v", err)
	}
}

type failingHandler struct{ err error }

func (f failingHandler) Apply(int, []StripeWindow) error { return f.err }

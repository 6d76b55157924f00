package walio

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// life is a tenant's log through some starts, on a disk that may fail. It knows what was acknowledged.
type life struct {
	*testDir
	src   *testSource
	work  *workload
	class SyncClass
	acked atomic.Uint64 // all commits up to here were acknowledged
	// synced is the greatest commit that the log called durable.
	synced atomic.Uint64
}

func newLife(t *testing.T, fs disk.FS, class SyncClass, seed uint64) *life {
	return &life{testDir: &testDir{t, fs, "/d"}, src: newTestSource(), work: newWorkload(seed), class: class}
}

func newDisk(t *testing.T) *faultfs.Mem {
	t.Helper()
	m := faultfs.NewMem()
	if err := m.MkdirAll("/d", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := m.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	return m
}

// run recovers, starts and commits n times, sending again what was refused. A disk that fails for good ends it.
func (l *life) run(epoch uint64, n int) {
	o := l.recoverOptions()
	o.Epoch = epoch
	var res Result
	for try := 0; ; try++ {
		var err error
		if res, err = Recover(context.Background(), o, &recorder{}); err == nil {
			break
		}
		if try == 5 {
			return
		}
	}
	opts := l.options(res.Position)
	opts.Epoch, opts.Sync, opts.SegmentSize = epoch, l.class, pageSize
	log, err := Start(opts, l.src)
	if err != nil {
		return
	}
	for i := range n {
		l.src.add(l.work.next(800)...)
		for try := 0; try < 40; try++ {
			// A retry has nothing to add: what it stands for is in memory already, and must be in the log
			// before it is answered.
			if log.Wait(context.Background()) == nil {
				l.acked.Store(log.Written())
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		l.synced.Store(log.Synced())
		if i%3 == 2 { // the interval passes; between, several commits are unsynced
			time.Sleep(120 * time.Millisecond)
		}
	}
	log.Close()
}

// verify recovers from what is left on fs: at least the commits up to least, whole, once and in order, and
// nothing else; and Prometheus reads the same.
func (l *life) verify(fs disk.FS, least uint64, what string) {
	l.t.Helper()
	d := &testDir{l.t, fs, "/d"}
	res, rec := d.recover(func(o *RecoverOptions) { o.Epoch = 9 })
	if res.LastCommit < least {
		l.t.Fatalf("%s: the log ends at commit %d; %d was promised", what, res.LastCommit, least)
	}
	if len(res.Losses) > 0 {
		l.t.Fatalf("%s: losses %+v on a disk that was never damaged", what, res.Losses)
	}
	d.check(l.src, rec, nil, res.LastCommit)
	again, rec := d.recover(func(o *RecoverOptions) { o.Epoch = 9 })
	if again.LastCommit != res.LastCommit || again.TornBytes > 0 {
		l.t.Fatalf("%s: a second recovery finds something else: %+v after %+v", what, again, res)
	}
	d.check(l.src, rec, nil, res.LastCommit)
	if res.LastCommit > 0 {
		got := stockEntries(l.t, export(l.t, fs, d.wal()))
		if want := l.src.logOrder(0, res.LastCommit); len(got) != len(want) {
			l.t.Fatalf("%s: Prometheus reads %d entries, %d belong to the log", what, len(got), len(want))
		}
	}
}

// rounds is how many seeds the randomized tests try. WALIO_ROUNDS=1000 makes a soak of them.
func rounds(def int) int {
	n := 0
	for _, c := range os.Getenv("WALIO_ROUNDS") {
		n = 10*n + int(c-'0')
	}
	return max(n, def)
}

// Every operation on the disk fails once, with each kind of error, at each point of two starts with twelve
// commits. Whatever was acknowledged is there after a kill -9 that follows; a sender that was refused and
// sends again is acknowledged only once its samples are in the log (C1, C2).
func TestFaultAtEveryOperation(t *testing.T) {
	faults := []*faultfs.Rule{
		{Kinds: faultfs.Mutations, Path: "wal/*", Times: 1, Err: unix.EIO},
		{Kinds: faultfs.Write, Path: "wal/*", Times: 3, Err: unix.ENOSPC, Tear: 3000},
		{Kinds: faultfs.Sync, Path: "wal/*", Times: 2, Err: unix.EIO},
		{Kinds: faultfs.Sync | faultfs.Write, Path: "wal/*", Times: 1, Err: unix.EIO, Late: true},
		{Kinds: faultfs.SyncDir | faultfs.Create | faultfs.Remove | faultfs.Truncate, Times: 2, Err: unix.EIO},
	}
	for _, class := range []SyncClass{SyncInterval, SyncAlways} {
		for i, rule := range faults {
			for n, fault := range faultfs.Every(rule) {
				synctest.Test(t, func(t *testing.T) {
					mem := newDisk(t)
					l := newLife(t, faultfs.Inject(mem, fault), class, uint64(n))
					l.run(1, 6)
					l.run(2, 6)
					l.verify(mem.Kill(), l.acked.Load(), faultName(i, n))
				})
			}
		}
	}
}

func faultName(i, n int) string {
	return "fault " + string(rune('0'+i)) + " at operation " + time.Duration(n).String()
}

// The power is cut at every operation in turn: class always loses nothing that was acknowledged, class
// interval nothing that was called synced; there is no gap, and no commit is there in part. Then it is cut a
// second time, in the middle of the recovery.
func TestPowerCut(t *testing.T) {
	for _, class := range []SyncClass{SyncAlways, SyncInterval} {
		for seed := range uint64(rounds(2)) {
			rng := rand.New(rand.NewPCG(seed, uint64(class)))
			for n := 0; ; n++ {
				over := false
				synctest.Test(t, func(t *testing.T) { over = powerCut(t, class, seed, n, rng) })
				if over {
					break
				}
			}
		}
	}
}

// powerCut cuts the power before the n-th operation and says whether there were that many.
func powerCut(t *testing.T, class SyncClass, seed uint64, n int, rng *rand.Rand) bool {
	mem := newDisk(t)
	var after *faultfs.Mem
	var l *life
	promised := uint64(0)
	cut := &faultfs.Rule{Kinds: faultfs.Mutations, Skip: n, Times: 1, Before: func(faultfs.Op) {
		if promised = l.synced.Load(); class == SyncAlways {
			promised = l.acked.Load()
		}
		after = mem.Crash(rng)
	}}
	// In half of the runs a sync fails before, and the kernel forgets what was dirty.
	broken := &faultfs.Rule{Kinds: faultfs.Sync, Path: "wal/*", Skip: rng.IntN(12), Times: 1, Err: unix.EIO}
	l = newLife(t, faultfs.Inject(mem, cut, broken), class, seed)
	l.run(1, 6)
	l.run(2, 6)
	if after == nil {
		return true
	}
	// The second cut, at some operation of the recovery; it may come after its end.
	second := after.Kill()
	var afterSecond *faultfs.Mem
	again := &faultfs.Rule{Kinds: faultfs.Mutations, Skip: rng.IntN(6), Times: 1, Before: func(faultfs.Op) { afterSecond = second.Crash(rng) }}
	(&testDir{t, faultfs.Inject(second, again), "/d"}).recover(func(o *RecoverOptions) { o.Epoch = 8 })
	l.verify(after, promised, "power cut")
	if afterSecond != nil {
		l.verify(afterSecond, promised, "power cut in recovery")
	}
	return false
}

// A log that healed after a failed sync holds every commit once, without a restart: Prometheus would drop the
// samples before a series that is defined twice (C9).
func TestHealedLogHasNoCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newDisk(t)
		broken := &faultfs.Rule{Kinds: faultfs.Sync, Path: "wal/*", Skip: 1, Times: 1, Err: unix.EIO}
		l := newLife(t, faultfs.Inject(mem, broken), SyncInterval, 5)
		l.run(1, 9)
		if broken.Fired() != 1 || l.acked.Load() != 9 {
			t.Fatalf("%d syncs failed, %d commits acknowledged", broken.Fired(), l.acked.Load())
		}
		if got, want := stockEntries(t, export(t, mem, l.wal())), l.src.logOrder(0, 9); !slices.Equal(got, want) {
			t.Fatalf("Prometheus reads %d entries of a healed log of %d", len(got), len(want))
		}
	})
}

// While the disk is full nothing is acknowledged, not even a request that has nothing to add; when there is
// room again the log heals by itself and everything is there, after a kill -9 too.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newDisk(t)
		full := &faultfs.Rule{Kinds: faultfs.Write, Err: unix.ENOSPC, Tear: 100, Skip: 2}
		l := newLife(t, faultfs.Inject(mem, full), SyncInterval, 1)
		log := l.start(Position{}, l.src)
		for range 2 {
			l.src.add(l.work.next(500)...)
			wait(t, log)
		}
		l.src.add(l.work.next(500)...)
		for range 5 {
			if err := log.Wait(t.Context()); !errors.Is(err, ErrFailed) || !errors.Is(err, unix.ENOSPC) {
				t.Fatalf("Wait on a full disk: %v", err)
			}
			time.Sleep(time.Second)
		}
		if err := log.WaitSynced(t.Context(), log.Written()+1); !errors.Is(err, ErrFailed) {
			t.Fatalf("WaitSynced on a full disk: %v", err)
		}
		full.Clear()
		time.Sleep(5 * time.Second)
		wait(t, log)
		if got, want := stockEntries(t, export(t, mem, l.wal())), l.src.logOrder(0, log.Written()); len(got) != len(want) {
			t.Fatalf("the log was healed and Prometheus reads %d entries of %d", len(got), len(want))
		}
		l.verify(mem.Kill(), log.Written(), "after the disk was full")
		closeLog(t, log)
	})
}

// A process that is killed between the second writing of unsynced commits and the cut of the failed segment
// leaves commits twice. Each is taken once, and the copies are gone after the next start (C2, C9).
func TestKillWhileHealing(t *testing.T) {
	for n := 0; ; n++ {
		over := false
		synctest.Test(t, func(t *testing.T) {
			mem := newDisk(t)
			var after *faultfs.Mem
			broken := &faultfs.Rule{Kinds: faultfs.Sync, Skip: 2, Times: 1, Err: unix.EIO}
			var promised uint64
			var l *life
			kill := &faultfs.Rule{Kinds: faultfs.Mutations, Skip: n, Before: func(faultfs.Op) {
				if after == nil && broken.Fired() > 0 {
					promised, after = l.acked.Load(), mem.Kill()
				}
			}}
			l = newLife(t, faultfs.Inject(mem, broken, kill), SyncInterval, 3)
			l.run(1, 9)
			if over = after == nil; !over {
				l.verify(after, promised, "killed while healing")
			}
		})
		if over {
			return
		}
	}
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

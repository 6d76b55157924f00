package walio

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	promrecord "github.com/prometheus/prometheus/tsdb/record"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What was committed comes back from the log: all of it, once, in order, for each stripe from its image's
// commit on; over several starts, with tiny segments and all compressions.
func TestWriteAndRecover(t *testing.T) {
	for _, comp := range []Compression{CompressionNone, CompressionSnappy, CompressionZstd} {
		d, src, w := newTestDir(t), newTestSource(), newWorkload(uint64(comp))
		var pos Position
		for start := range 3 {
			l := d.start(pos, src, func(o *Options) { o.Compression, o.SegmentSize = comp, pageSize })
			for range 40 {
				src.add(w.next(600)...)
				wait(t, l)
			}
			closeLog(t, l)
			res, rec := d.recover()
			d.check(src, rec, nil, res.LastCommit)
			if len(res.Losses) > 0 || res.TornBytes > 0 || res.LastCommit != l.Written() {
				t.Fatalf("start %d: a log that was closed is not whole: %+v", start, res)
			}
			pos = res.Position
			if pos.Segment < 3 {
				t.Fatalf("only %d segments; the test wants several", pos.Segment)
			}
		}
		from := []uint64{pos.Commit / 2, 0, pos.Commit, pos.Commit / 3}
		_, rec := d.recover(func(o *RecoverOptions) { o.From = from })
		d.check(src, rec, from, pos.Commit)
		from = []uint64{pos.Commit - 3, pos.Commit - 2, pos.Commit, pos.Commit - 3}
		res, rec := d.recover(func(o *RecoverOptions) { o.From = from })
		d.check(src, rec, from, pos.Commit)
		if res.Position.Totals != pos.Totals || res.Commits > 10 {
			t.Fatalf("most of the log was to be passed over: %+v", res)
		}
	}
}

// Records of all kinds keep their order among each other inside one commit, and reach exactly the stripes
// whose series they name (C17).
func TestMixedKinds(t *testing.T) {
	enc := promrecord.Encoder{}
	h := &histogram.Histogram{
		Schema: 1, Count: 5, Sum: 2, ZeroThreshold: 0.1, ZeroCount: 1,
		PositiveSpans: []histogram.Span{{Offset: 1, Length: 2}}, PositiveBuckets: []int64{1, 2},
		NegativeSpans: []histogram.Span{{Offset: -3, Length: 1}}, NegativeBuckets: []int64{1},
	}
	custom := &histogram.Histogram{
		Schema: histogram.CustomBucketsSchema, Count: 3, Sum: 2, CustomValues: []float64{1, 2},
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, 1},
	}
	exponential, _ := enc.HistogramSamples([]promrecord.RefHistogramSample{{Ref: 4, T: 2, H: h}, {Ref: 8, T: 2, H: h}}, nil)
	customs := enc.CustomBucketsHistogramSamples([]promrecord.RefHistogramSample{{Ref: 7, T: 2, H: custom}}, nil)
	floats, _ := enc.FloatHistogramSamples([]promrecord.RefFloatHistogramSample{{Ref: 5, T: 3, FH: h.ToFloat(nil)}, {Ref: 10, T: 3, FH: h.ToFloat(nil)}}, nil)
	customFloats := enc.CustomBucketsFloatHistogramSamples([]promrecord.RefFloatHistogramSample{{Ref: 4, T: 9, FH: custom.ToFloat(nil)}}, nil)
	exemplars := enc.Exemplars([]promrecord.RefExemplar{{Ref: 6, T: 4, V: 1, Labels: labels.FromStrings("trace", "x")}, {Ref: 9, T: 4}}, nil)
	metadata := enc.Metadata([]promrecord.RefMetadata{{Ref: 4, Type: 1, Unit: "s", Help: "h"}, {Ref: 400, Type: 2}}, nil)

	d, src := newTestDir(t), newTestSource()
	l := d.start(Position{}, src)
	order := []entry{
		{ref: 4, t: 1, v: 10},
		{rec: string(exponential)},
		{ref: 4, t: 3, v: math.Float64bits(math.NaN()) | 2},
		{rec: string(floats)},
		{rec: string(customFloats)},
		{ref: 4, t: 10, v: 1},
		{rec: string(exemplars)},
		{rec: string(metadata)},
		{rec: string(customs)},
		{rec: tombstone(4, 5)},
	}
	src.add(order...)
	wait(t, l)
	closeLog(t, l)
	res, rec := d.recover()
	want := [][]int{0: {0, 1, 2, 4, 5, 7, 9}, 1: {3, 6}, 2: {3, 6}, 3: {8}}
	for stripe, indexes := range want {
		got := rec.stripes[stripe]
		if len(got) != len(indexes) {
			t.Fatalf("stripe %d got %d entries, want %d", stripe, len(got), len(indexes))
		}
		for i, n := range indexes {
			if got[i] != order[n] {
				t.Fatalf("stripe %d entry %d: got %+v, want %+v", stripe, i, got[i], order[n])
			}
		}
	}
	if max := [4]uint64(res.MaxIndex); max != [4]uint64{100, 2, 2, 1} {
		t.Fatalf("greatest indexes %v", max)
	}
}

// Many goroutines add and wait at once. Each finds its entries in the log when it is answered.
func TestConcurrentWaiters(t *testing.T) {
	for _, class := range []SyncClass{SyncInterval, SyncAlways} {
		d, src := newTestDir(t), newTestSource()
		l := d.start(Position{}, src, func(o *Options) { o.Sync, o.SegmentSize = class, 4*pageSize })
		var wg sync.WaitGroup
		for g := range uint64(50) {
			wg.Go(func() {
				for i := range int64(20) {
					src.add(entry{ref: 4 + g, t: i, v: g})
					if err := l.Wait(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		written := l.Written()
		closeLog(t, l)
		if written > 1000 {
			t.Errorf("%d commits for 1000 requests", written)
		}
		res, rec := d.recover()
		d.check(src, rec, nil, res.LastCommit)
		n := 0
		for _, s := range rec.stripes {
			n += len(s)
		}
		if n != 1000 {
			t.Fatalf("%d entries in the log, 1000 were acknowledged", n)
		}
	}
}

// An acknowledgement of class interval does not wait for a sync, until the oldest unsynced commit is older
// than twice the interval; one of class always does. An idle log syncs nothing.
func TestWhenAcknowledgementsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newDisk(t)
		slow := &faultfs.Rule{Kinds: faultfs.Sync, Path: "wal/*", Skip: 1, Times: 1, Delay: time.Second}
		count := &faultfs.Rule{Kinds: faultfs.Sync}
		d, src := &testDir{t, faultfs.Inject(mem, slow, count), "/d"}, newTestSource()
		l := d.start(Position{}, src)
		commit := func() time.Duration {
			began := time.Now()
			src.add(entry{ref: 4, t: began.UnixMilli(), v: 1})
			wait(t, l)
			return time.Since(began)
		}
		if took := commit(); took != 0 {
			t.Errorf("a commit waited %v", took)
		}
		time.Sleep(150 * time.Millisecond)
		if l.Synced() != 1 {
			t.Errorf("not synced 150 ms after the commit")
		}
		commit()
		time.Sleep(190 * time.Millisecond) // the slow sync has begun
		if took := commit(); took != 0 {
			t.Errorf("a commit waited %v, the oldest unsynced one is 190 ms old", took)
		}
		time.Sleep(20 * time.Millisecond)
		if took := commit(); took < 800*time.Millisecond {
			t.Errorf("a commit waited %v, the oldest unsynced one is 210 ms old and the sync takes a second", took)
		}
		time.Sleep(time.Second)
		before := count.Seen()
		time.Sleep(time.Hour)
		if count.Seen() != before {
			t.Errorf("%d syncs in an idle hour", count.Seen()-before)
		}
		closeLog(t, l)

		slow.Arm()
		l = d.start(Position{Commit: l.Written(), Segment: 1}, src, func(o *Options) { o.Sync = SyncAlways })
		commit()
		if took := commit(); took != time.Second {
			t.Errorf("class always: a commit was acknowledged after %v, its sync takes a second", took)
		}
		closeLog(t, l)
	})
}

// While syncs hang, commits stop at the limit of what is kept for writing again, and go on afterwards.
func TestRetainLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newDisk(t)
		slow := &faultfs.Rule{Kinds: faultfs.Sync, Path: "wal/*", Delay: time.Minute}
		d, src, w := &testDir{t, faultfs.Inject(mem, slow), "/d"}, newTestSource(), newWorkload(1)
		l := d.start(Position{}, src, func(o *Options) { o.RetainMax = 20_000 })
		for range 100 {
			src.add(w.next(500)...)
			l.Kick()
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		var s Stats
		if l.Stats(&s); s.RetainedBytes < 20_000 || s.RetainedBytes > 40_000 {
			t.Errorf("%d bytes are retained, the limit is 20000", s.RetainedBytes)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := l.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait while no commit may begin: %v", err)
		}
		cancel()
		wait(t, l)
		closeLog(t, l)
		res, rec := d.recover()
		d.check(src, rec, nil, res.LastCommit)
	})
}

// A process dies after a failed sync, when the kernel has called the dirty pages clean. What the next process
// finds it writes again before it calls it durable, so a power cut after its start takes nothing (C2).
func TestFailedSyncThenKillThenPowerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newDisk(t)
		l := newLife(t, faultfs.Inject(mem, &faultfs.Rule{Kinds: faultfs.Sync, Path: "wal/*", Err: unix.EIO}), SyncInterval, 8)
		log := l.start(Position{}, l.src)
		for range 5 {
			l.src.add(l.work.next(500)...)
			wait(t, log)
		}
		time.Sleep(time.Second)
		if !errors.Is(log.Err(), ErrFailed) {
			t.Fatalf("after failed syncs: %v", log.Err())
		}
		killed := mem.Kill()
		if err := log.Close(); err == nil {
			t.Error("Close says that everything is durable")
		}
		next := &testDir{t, killed, "/d"}
		if res, _ := next.recover(); res.LastCommit != 5 {
			t.Fatalf("%+v", res)
		}
		for seed := range uint64(20) {
			l.verify(killed.Crash(seeded(seed)), 5, "power cut after the start")
		}
	})
}

// In steady state a commit allocates what its waiters wait on, and nothing for its entries.
func TestCommitAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector allocates on its own
	}
	src := &scrapesSource{newScrapes(1<<12, 64), 1 << 12}
	l, err := Start(benchOptions(t.TempDir()), src)
	if err != nil {
		t.Fatal(err)
	}
	commit := func() {
		if err := l.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l.Written()%20 == 0 {
			if err := l.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 100 {
		commit()
	}
	if n := testing.AllocsPerRun(200, commit); n > 3 {
		t.Errorf("%v allocations a commit of 4096 samples", n)
	}
	closeLog(t, l)
}

package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
	"github.com/rekindledb/rekindle/walio"
)

// Random lives of a directory, on a disk in memory and in virtual time, with random options: pushes, duplicates, samples
// that must be refused, new series, jumps over block ranges, several writers at once, queries, failing writes and syncs, a
// full disk, clean restarts, kills, power cuts, and kills and power cuts again in the middle of the recovery. After each
// start what is found is judged by the journal; at the end Prometheus reads the log.
//
// REKINDLE_MODEL_SEED repeats one life, REKINDLE_MODEL_RUNS is the number of lives.
func TestModel(t *testing.T) {
	runs, seed := 10, uint64(time.Now().UnixNano())
	if underRace {
		runs = 2
	}
	if text := os.Getenv("REKINDLE_MODEL_RUNS"); text != "" {
		var err error
		runs, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	if text := os.Getenv("REKINDLE_MODEL_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		runs = 1
	}
	for i := range runs {
		seed := seed + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				newLife(t, seed).live()
			})
		})
	}
}

// life is the directory, who writes to it, and what they know.
type life struct {
	t   *testing.T
	rng *rand.Rand
	j   *journal
	c   Config

	mem  *faultfs.Mem
	fsys *faultfs.Faults
	e    *Engine

	clock  atomic.Int64 // ms: of samples, and of the process
	unique atomic.Int64
	series []labels.Labels
	faulty bool     // operations fail in this process
	story  []string // what was done
}

func newLife(t *testing.T, seed uint64) *life {
	l := &life{t: t, rng: rand.New(rand.NewPCG(seed, 1)), j: newJournal(), mem: faultfs.NewMem()}
	l.clock.Store(testNow.UnixMilli())
	l.c = memConfig(t, nil, func(c *Config) {
		c.Stripes = 1 << l.rng.IntN(5)
		if underRace {
			c.Stripes = min(c.Stripes, 2)
		}
		c.Now = func() time.Time { return time.UnixMilli(l.clock.Load()) }
	})
	for range 5 {
		l.newSeries()
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, line := range l.story {
				t.Log(line)
			}
			t.Logf("repeat it with REKINDLE_MODEL_SEED=%d", seed)
		}
	})
	return l
}

func (l *life) note(format string, args ...any) {
	l.story = append(l.story, fmt.Sprintf(format, args...))
}

func oneOf[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// options that a process may change.
func (l *life) options() {
	c, r := &l.c, l.rng
	c.Sync = oneOf(r, walio.SyncInterval, walio.SyncInterval, walio.SyncAlways)
	c.SyncInterval = oneOf(r, 5*time.Millisecond, 100*time.Millisecond, time.Second)
	c.Compression = oneOf(r, walio.CompressionNone, walio.CompressionSnappy, walio.CompressionZstd)
	c.SegmentSize = oneOf[int64](r, 64<<10, 64<<10, 256<<10, 16<<20)
	c.Checkpoint = r.IntN(5) > 0
	c.CheckpointDuration = oneOf(r, 10*time.Millisecond, 300*time.Millisecond, 5*time.Second, time.Hour)
	c.RestartTarget = oneOf(r, time.Microsecond, time.Millisecond, 300*time.Millisecond)
	c.CheckpointRate = oneOf[int64](r, 0, 0, 300_000)
	l.note("options: sync %d every %v, compression %d, segments %d, checkpoint %t every %v, restart %v, rate %d, stripes %d",
		c.Sync, c.SyncInterval, c.Compression, c.SegmentSize, c.Checkpoint, c.CheckpointDuration, c.RestartTarget, c.CheckpointRate, c.Stripes)
}

func (l *life) live() {
	l.options()
	l.begin(l.mem)
	type step struct {
		weight int
		do     func()
	}
	steps := []step{
		{30, func() { l.push() }},
		{8, l.twice},
		{8, func() { l.newSeries() }},
		{4, l.jump},
		{10, l.sleep},
		{6, l.query},
		{6, l.fault},
		{4, l.full},
		{6, l.burst},
		{3, l.cleanRestart},
		{4, func() { l.crash(false) }},
		{4, func() { l.crash(true) }},
	}
	sum := 0
	for _, s := range steps {
		sum += s.weight
	}
	for range 120 {
		n := l.rng.IntN(sum)
		for _, s := range steps {
			if n -= s.weight; n < 0 {
				s.do()
				break
			}
		}
	}
	l.cleanRestart()
	if l.e.Tenant("t") != nil {
		checkStock(l.t, l.mem.Kill(), filepath.Join(l.c.Dir, "t"), contents(l.t, l.e, "t"))
	}
	require.NoError(l.t, l.e.Close())
}

// begin starts a process on a disk.
func (l *life) begin(mem *faultfs.Mem) {
	mem.SetCapacity(-1)
	l.mem, l.fsys = mem, faultfs.Inject(mem)
	l.c.FS = l.fsys
	l.e = start(l.t, l.c)
}

func (l *life) newSeries() {
	n := len(l.series)
	l.series = append(l.series, labels.FromStrings("__name__", fmt.Sprintf("m%d", n%5), "series", fmt.Sprint(n), "job", fmt.Sprint(n%3)))
}

func (l *life) value() uint64 {
	switch n := l.unique.Add(1); n % 7 {
	case 0:
		return value.StaleNaN
	case 1:
		return math.Float64bits(float64(n)) * 0x9e3779b97f4a7c15
	default:
		return math.Float64bits(float64(n / 7))
	}
}

// request is one for some of the series, with bad samples now and then.
func (l *life) request(rng *rand.Rand, of []labels.Labels) (out []offer) {
	at := l.clock.Add(2 + rng.Int64N(30_000))
	for _, set := range of {
		if rng.IntN(3) == 0 {
			continue
		}
		for k := range 1 + rng.Int64N(2) {
			out = append(out, offer{l: set, s: Sample{at + k, l.value()}})
		}
		if rng.IntN(20) > 0 {
			continue
		}
		if last, ok := l.j.last(set); ok {
			out = append(out, offer{l: set, bad: true, s: Sample{last.T - rng.Int64N(3), last.V + 1 + rng.Uint64N(1000)}})
		} else {
			out = append(out, offer{l: set, bad: true, s: Sample{at + 3600_000, l.value()}})
		}
	}
	return out
}

func (l *life) push() {
	offers := l.request(l.rng, l.series)
	l.note("push %d: %v", len(offers), l.j.push(l.t, l.e, "t", offers...))
}

// twice sends a request twice at once. It has one sample a series: of two the older one would be late.
func (l *life) twice() {
	var offers []offer
	for _, set := range l.series {
		offers = append(offers, offer{l: set, s: Sample{l.clock.Add(2), l.value()}})
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { _ = l.j.push(l.t, l.e, "t", offers...) })
	}
	both.Wait()
	l.note("push %d twice", len(offers))
}

func (l *life) jump() {
	by := time.Duration(l.rng.Int64N(int64(5 * time.Hour)))
	if l.rng.IntN(5) == 0 {
		by *= 30
	}
	l.clock.Add(by.Milliseconds())
	l.note("jump %v", by)
}

func (l *life) sleep() {
	d := time.Duration(l.rng.ExpFloat64() * float64(300*time.Millisecond))
	time.Sleep(d)
	l.note("sleep %v", d)
}

// query: what is shown is all that was acknowledged, and nothing that was not sent.
func (l *life) query() {
	l.j.judge(l.t, contents(l.t, l.e, "t"), l.j.promised(math.MaxUint64))
	l.note("query")
}

// fault makes some operations fail from now on.
func (l *life) fault() {
	r := &faultfs.Rule{
		Kinds: oneOf(l.rng, faultfs.Write, faultfs.Sync, faultfs.Mutations, faultfs.Create|faultfs.Allocate|faultfs.SyncDir),
		Path:  oneOf(l.rng, "", "wal/*", "images/*", "chunks/*", "catalogue"),
		Skip:  l.rng.IntN(20), Times: 1 + l.rng.IntN(3),
		Err: unix.EIO, Tear: oneOf(l.rng, 0, 0, 700), Late: l.rng.IntN(4) == 0,
	}
	l.fsys.Add(r)
	l.faulty = true
	l.note("fault: %v %q from %d on, %d times, late %t", r.Kinds, r.Path, r.Skip, r.Times, r.Late)
}

// full fills the disk for a while.
func (l *life) full() {
	const much = 1 << 40
	l.mem.SetCapacity(much)
	used := much - int64(must(l.mem.Free("/")))
	free := l.rng.Int64N(40 << 10)
	l.mem.SetCapacity(used + free)
	l.note("full but for %d bytes", free)
	for range 3 {
		l.push()
		l.sleep()
	}
	l.mem.SetCapacity(-1)
	for try := 0; l.j.push(l.t, l.e, "t", l.request(l.rng, l.series)...) != nil; try++ {
		require.Less(l.t, try, 100, "it does not accept anything again")
		time.Sleep(time.Second)
	}
	l.note("room")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// heal waits until all faults have passed and the log works.
func (l *life) heal() {
	for range 100 {
		if l.j.push(l.t, l.e, "t", l.request(l.rng, l.series[:1])...) == nil {
			return
		}
		time.Sleep(time.Second)
	}
	l.t.Fatal("the log does not work again")
}

func (l *life) cleanRestart() {
	l.note("clean restart")
	l.heal()
	found := contents(l.t, l.e, "t")
	// What is left of the faults may hit the stop. It tells, and costs nothing that was acknowledged.
	err := l.e.Close()
	l.note("stopped: %v", err)
	l.options()
	l.begin(l.mem)
	if err == nil {
		require.Equal(l.t, found, contents(l.t, l.e, "t"))
	}
	l.found(l.j.promised(math.MaxUint64), 0)
}

// found judges what the process found on the disk of one that synced at this interval, and goes on from there.
func (l *life) found(p promise, interval time.Duration) {
	found := contents(l.t, l.e, "t")
	lost := l.j.judge(l.t, found, p)
	require.LessOrEqual(l.t, lost, 2*interval, "acknowledgements of more than twice the sync interval are gone")
	if ten := l.e.Tenant("t"); ten != nil {
		r := ten.recovered
		require.Zero(l.t, r.Unknown+r.Misplaced+r.Stale+int64(r.Losses), "%+v", r)
		require.True(l.t, r.ImagesDamaged == 0 || l.faulty, "%+v", r)
	}
	l.faulty = false
	l.j.settle(found)
}

// synced is the promise for a power cut now.
func (l *life) synced() promise {
	ten := l.e.Tenant("t")
	switch {
	case ten == nil:
		return promise{}
	case l.c.Sync == walio.SyncAlways:
		return l.j.promised(math.MaxUint64)
	}
	return l.j.promised(ten.wal.Synced())
}

// picture is a disk on which the next process begins.
type picture struct {
	mem              *faultfs.Mem
	written, durable promise // if the process was killed; if the power was cut
}

func (l *life) picture(cut bool) picture {
	p := picture{durable: l.synced(), written: l.j.promised(math.MaxUint64)}
	if cut {
		p.mem, p.written = l.mem.Crash(l.rng), p.durable
	} else {
		p.mem = l.mem.Kill()
	}
	return p
}

// crash ends the process, and perhaps the next ones in the middle of their recovery.
func (l *life) crash(cut bool) {
	l.note("crash, power cut %t", cut)
	p := l.picture(cut)
	_ = l.e.Close() // on its own copy of the disk
	l.recover(p)
}

func (l *life) recover(p picture) {
	interval := l.c.SyncInterval
	for l.rng.IntN(2) == 0 {
		var next *faultfs.Mem
		cut := l.rng.IntN(2) == 0
		n := l.rng.IntN(120)
		c := l.c
		c.FS = faultfs.Inject(p.mem, &faultfs.Rule{Skip: n, Times: 1, Before: func(op faultfs.Op) {
			l.note("again in recovery at operation %d, %v, power cut %t", n, op, cut)
			if cut {
				next = p.mem.Crash(l.rng)
			} else {
				next = p.mem.Kill()
			}
		}})
		e := start(l.t, c)
		_ = e.Close()
		if next == nil {
			break // it was over before, and the clean stop too
		}
		if p.mem = next; cut {
			p.written = p.durable
		}
	}
	l.options()
	l.begin(p.mem)
	l.found(p.written, interval)
}

// burst: several writers at once, and a crash somewhere in it.
func (l *life) burst() {
	l.note("burst")
	const writers = 3
	var all sync.WaitGroup
	for w := range writers {
		rng := rand.New(rand.NewPCG(l.rng.Uint64(), 1))
		var mine []labels.Labels
		for i := w; i < len(l.series); i += writers {
			mine = append(mine, l.series[i])
		}
		all.Go(func() {
			for range 15 {
				_ = l.j.push(l.t, l.e, "t", l.request(rng, mine)...)
				time.Sleep(time.Duration(rng.ExpFloat64() * float64(20*time.Millisecond)))
			}
		})
	}
	time.Sleep(time.Duration(l.rng.Int64N(int64(400 * time.Millisecond))))
	var p picture
	if l.rng.IntN(2) == 0 {
		p = l.picture(l.rng.IntN(2) == 0)
	}
	all.Wait()
	if p.mem != nil {
		l.note("crash in the burst")
		_ = l.e.Close()
		l.recover(p)
	}
}

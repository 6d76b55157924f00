package engine

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// journal remembers what was sent to one tenant and what the answers were, so that what a later process finds
// on the disk of an earlier one can be judged:
//
//	acknowledged and promised  ⊆  found  ⊆  sent and not refused
//
// and of each series no acknowledged sample is missing before the last one that was found. The samples of a
// series are sent by one goroutine, in order. It is safe for concurrent use.
type journal struct {
	mu     sync.Mutex
	series map[string]*history
}

// history is what became of one series' samples.
type history struct {
	sent  map[Sample]bool // false: must be refused, so it may never be found
	acked []ack           // ascending in every field
}

type ack struct {
	s      Sample
	commit uint64 // the log's last commit when the answer came: the sample is in it or before
	at     time.Time
}

// offer is a sample on its way. bad ones must be refused.
type offer struct {
	l   labels.Labels
	s   Sample
	bad bool
}

func newJournal() *journal { return &journal{series: map[string]*history{}} }

func (j *journal) of(name string) *history {
	h := j.series[name]
	if h == nil {
		h = &history{sent: map[Sample]bool{}}
		j.series[name] = h
	}
	return h
}

// push sends offers as one request, each as a series of its own, and notes the outcome. What it returns is nil
// if all that is good was acknowledged.
func (j *journal) push(t testing.TB, e *Engine, tenant string, offers ...offer) error {
	return j.pushContext(context.Background(), t, e, tenant, offers...)
}

func (j *journal) pushContext(ctx context.Context, t testing.TB, e *Engine, tenant string, offers ...offer) error {
	var b Batch
	bad := 0
	j.mu.Lock()
	for _, o := range offers {
		add(&b, o.l, o.s)
		if h := j.of(o.l.String()); o.bad {
			h.sent[o.s] = false
			bad++
		} else {
			h.sent[o.s] = true
		}
	}
	j.mu.Unlock()
	r, err := e.Append(ctx, tenant, &b)
	var refused *SampleError
	switch {
	case errors.As(err, &refused):
		require.Equal(t, bad, r.Rejected, "%v", err)
		require.NotZero(t, bad, "%v", err)
	case err == nil:
		require.Zero(t, bad, "what must be refused was accepted: %v", offers)
	case errors.Is(err, ErrUnavailable), ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return err
	default:
		require.NoError(t, err)
	}
	a := ack{commit: e.Tenant(tenant).written(), at: time.Now()}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, o := range offers {
		if h := j.of(o.l.String()); !o.bad {
			a.s = o.s
			h.acked = append(h.acked, a)
		}
	}
	return nil
}

// written is the log's last commit.
func (t *Tenant) written() uint64 {
	if t.wal == nil {
		return 0
	}
	return t.wal.Written()
}

// promise is what a disk of some moment has to hold: of the acknowledgements that a series had then, the first
// so many.
type promise map[string]struct{ had, durable int }

// promised is what a disk copied from now on must hold that has all commits up to through. All of them were
// written when the process is killed.
func (j *journal) promised(through uint64) promise {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := promise{}
	for name, h := range j.series {
		n := sort.Search(len(h.acked), func(i int) bool { return h.acked[i].commit > through })
		p[name] = struct{ had, durable int }{len(h.acked), n}
	}
	return p
}

// judge compares what was found with what was promised. lost is the time between the first and the last
// acknowledgement of those whose sample is not there.
func (j *journal) judge(t testing.TB, found map[string][]Sample, p promise) (lost time.Duration) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	first, last := time.Time{}, time.Time{}
	for name, samples := range found {
		h := j.series[name]
		require.NotNil(t, h, "series %s was found and never sent", name)
		for i, s := range samples {
			good, sent := h.sent[s]
			require.True(t, good, "series %s: sample %v was found; sent: %t, to be refused: %t", name, s, sent, sent && !good)
			require.True(t, i == 0 || samples[i-1].T < s.T, "series %s: samples %v and %v", name, samples[max(i-1, 0)], s)
		}
	}
	for name, h := range j.series {
		have := map[Sample]bool{}
		newest := int64(math.MinInt64)
		for _, s := range found[name] {
			have[s], newest = true, s.T
		}
		for i, a := range h.acked[:p[name].had] {
			if have[a.s] {
				continue
			}
			require.GreaterOrEqual(t, i, p[name].durable, "series %s: sample %v was acknowledged in commit %d or before and is missing", name, a.s, a.commit)
			require.Greater(t, a.s.T, newest, "series %s: sample %v was acknowledged and is missing, the newest one found is at %d", name, a.s, newest)
			if first.IsZero() || a.at.Before(first) {
				first = a.at
			}
			if a.at.After(last) {
				last = a.at
			}
		}
	}
	return last.Sub(first)
}

// settle forgets everything but what was found: it is what a new process starts from.
func (j *journal) settle(found map[string][]Sample) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.series = map[string]*history{}
	for name, samples := range found {
		h := j.of(name)
		for _, s := range samples {
			h.sent[s] = true
			h.acked = append(h.acked, ack{s: s, at: time.Now()})
		}
	}
}

// snapshot is a disk as another process would find it, and what it must find there.
type snapshot struct {
	disk *faultfs.Mem
	p    promise
	when string
}

// killed is the disk after SIGKILL at this instant. Safe in any hook.
func (j *journal) killed(mem *faultfs.Mem, when string) snapshot {
	p := j.promised(math.MaxUint64) // before: what is acknowledged meanwhile need not be in it
	return snapshot{disk: mem.Kill(), p: p, when: "killed at " + when}
}

// powerCut is the disk after the power was cut at this instant, and e's log had been synced through some commit.
func (j *journal) powerCut(mem *faultfs.Mem, e *Engine, tenant string, rng *rand.Rand, when string) snapshot {
	through := uint64(0)
	if ten := e.Tenant(tenant); ten != nil && ten.wal != nil {
		through = ten.wal.Synced()
	}
	p := j.promised(through)
	return snapshot{disk: mem.Crash(rng), p: p, when: "power cut at " + when}
}

// album collects the disks of a run: one of a kill and one of a power cut at every so many operations that change
// anything on the disk. It is safe for concurrent use.
type album struct {
	j     *journal
	mem   *faultfs.Mem
	e     *Engine // its tenant t
	every int
	kills bool // kills only

	mu  sync.Mutex
	rng *rand.Rand
	n   int
	all []snapshot
}

func newAlbum(j *journal, mem *faultfs.Mem, e *Engine, every int) *album {
	if underRace && every > 1 {
		every *= 4
	}
	return &album{j: j, mem: mem, e: e, every: every, rng: rand.New(rand.NewPCG(uint64(every), 7))}
}

// rule makes the album see all operations.
func (a *album) rule() *faultfs.Rule {
	return &faultfs.Rule{Kinds: faultfs.Mutations, Before: func(op faultfs.Op) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.n++; a.n%a.every == 0 {
			a.take(op.String())
		}
	}}
}

// add takes both pictures now.
func (a *album) add(when string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.take(when)
}

// done returns what was collected. Nothing comes any more.
func (a *album) done() []snapshot {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.every = math.MaxInt
	return a.all
}

func (a *album) take(when string) {
	a.all = append(a.all, a.j.killed(a.mem, when))
	if !a.kills {
		a.all = append(a.all, a.j.powerCut(a.mem, a.e, "t", a.rng, when))
	}
}

// check starts an engine on the disk of a snapshot and judges what it finds. The engine is returned running.
func (s snapshot) check(t testing.TB, j *journal, c Config, tenant string) *Engine {
	t.Helper()
	c.FS, c.crash = s.disk, nil
	defer func() {
		if t.Failed() {
			t.Log(s.when)
		}
	}()
	e := start(t, c)
	found := contents(t, e, tenant)
	lost := j.judge(t, found, s.p)
	interval := c.withDefaults().SyncInterval
	require.LessOrEqual(t, lost, 2*interval, "%s: acknowledgements of more than twice the sync interval are gone", s.when)
	if ten := e.Tenant(tenant); ten != nil {
		r := ten.recovered
		require.Zero(t, r.Unknown+r.Misplaced+r.Stale, "%s: entries were replayed that the image held already, or that contradict it: %+v", s.when, r)
		require.Zero(t, r.Losses, "%s: nothing was damaged, yet a loss was entered", s.when)
	}
	return e
}

// checkAll checks snapshots and stops what it started.
func checkAll(t testing.TB, j *journal, c Config, tenant string, snapshots []snapshot) {
	t.Helper()
	for _, s := range snapshots {
		require.NoError(t, s.check(t, j, c, tenant).Close(), s.when)
	}
}

// memConfig is a small engine on a file system in memory.
func memConfig(t testing.TB, fsys disk.FS, change ...func(*Config)) Config {
	return testConfig(t, append([]func(*Config){func(c *Config) { c.FS, c.Dir = fsys, "/data" }}, change...)...)
}

var quietLogger = slog.New(slog.DiscardHandler)

func names(entries []fs.DirEntry) (out []string) {
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// last is the newest sample of a series that was acknowledged.
func (j *journal) last(l labels.Labels) (Sample, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	h := j.of(l.String())
	if len(h.acked) == 0 {
		return Sample{}, false
	}
	return h.acked[len(h.acked)-1].s, true
}

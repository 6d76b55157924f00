package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
	"github.com/rekindledb/rekindle/walio"
)

// offers is one sample for each of n series, the k-th of them.
func offers(n, k int) []offer {
	out := make([]offer, 0, n)
	for i := range n {
		out = append(out, offer{l: pod(i), s: sample(testNow.UnixMilli()+int64(k)*15_000, float64(k*1000+i))})
	}
	return out
}

// pushAgain sends the same request until it is acknowledged, as senders do.
func (j *journal) pushAgain(t testing.TB, e *Engine, tenant string, offers ...offer) {
	t.Helper()
	for range 100 {
		if j.push(t, e, tenant, offers...) == nil {
			return
		}
		time.Sleep(time.Second)
	}
	t.Fatal("the tenant does not accept anything any more")
}

// hang makes the next write to a file that fits the pattern wait until it is released.
func hang(t testing.TB, fsys *faultfs.Faults, path string) (release func()) {
	held := make(chan struct{})
	release = sync.OnceFunc(func() { close(held) })
	t.Cleanup(release)
	fsys.Add(&faultfs.Rule{Kinds: faultfs.Write, Path: path, Times: 1, Before: func(faultfs.Op) { <-held }})
	return release
}

// A request that only repeats what another one has put into memory is not answered before the log holds it:
// the log's writes hang, both requests wait, and the process that is killed when the second one is answered has
// the sample. (C1, without any fault.)
func TestDuplicateWaitsForTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, j := faultfs.NewMem(), newJournal()
		fsys := faultfs.Inject(mem)
		c := memConfig(t, fsys)
		e := start(t, c)
		require.NoError(t, j.push(t, e, "t", offers(3, 0)...))

		release := hang(t, fsys, "wal/*")
		answers := newAlbum(j, mem, e, 1)
		answers.kills = true
		send := func() {
			require.NoError(t, j.push(t, e, "t", offers(3, 1)...))
			answers.add("an answer")
		}
		go send()
		synctest.Wait()
		require.Len(t, contents(t, e, "t")[pod(0).String()], 2, "the first request's samples are in memory")
		go send()
		synctest.Wait()
		require.Empty(t, answers.all, "answered while the log has nothing")
		release()
		synctest.Wait()
		require.Len(t, answers.all, 2)
		checkAll(t, j, c, "t", answers.done())
		require.NoError(t, e.Close())
	})
}

// While the log cannot be written nothing is acknowledged, and a retry does not make a 2xx of the sample that the
// first attempt left in memory. Once there is room again the retry is acknowledged and true. The process is
// killed at every answer. (C1 with a full disk; C3: a request with refused samples likewise.)
func TestRetriesOnFullDisk(t *testing.T) {
	for _, bad := range []int{0, 1} {
		t.Run(fmt.Sprintf("refused=%d", bad), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem, j := faultfs.NewMem(), newJournal()
				full := &faultfs.Rule{Kinds: faultfs.Write | faultfs.Create | faultfs.Allocate, Err: unix.ENOSPC, Tear: 100}
				fsys := faultfs.Inject(mem)
				c := memConfig(t, fsys)
				e := start(t, c)
				require.NoError(t, j.push(t, e, "t", offers(3, 0)...))

				request := offers(3, 1)
				for i := range bad {
					o := offers(1, 0)[0] // the newest sample's time, another value
					o.l, o.s.V, o.bad = pod(50+i), o.s.V+1, true
					require.NoError(t, j.push(t, e, "t", offer{l: o.l, s: sample(o.s.T, 4)}))
					request = append(request, o)
				}
				fsys.Add(full)
				var kills []snapshot
				for range 5 {
					err := j.push(t, e, "t", request...)
					require.ErrorIs(t, err, ErrUnavailable)
					kills = append(kills, j.killed(mem, "a refusal"))
					_, err = e.Tenant("t").Select(t.Context(), 0, 1<<60, labels.MustNewMatcher(labels.MatchRegexp, "pod", ".+"))
					require.NoError(t, err, "queries go on")
					time.Sleep(time.Second)
				}
				full.Clear()
				j.pushAgain(t, e, "t", request...)
				kills = append(kills, j.killed(mem, "the acknowledgement"))
				checkAll(t, j, c, "t", kills)
				require.NoError(t, e.Close())
			})
		})
	}
}

// A 400 with the good part stored is an acknowledgement: it waits for the commit, and if that fails the answer is
// 503 and not 400, because a sender drops what is answered 4xx. (C3)
func TestSoftErrorsWaitToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, j := faultfs.NewMem(), newJournal()
		fsys := faultfs.Inject(mem)
		c := memConfig(t, fsys)
		e := start(t, c)
		require.NoError(t, j.push(t, e, "t", offers(3, 1)...))
		late := offers(1, 0)[0]
		late.bad = true
		request := func(k int) []offer { return append(offers(3, k)[1:], late) }

		release := hang(t, fsys, "wal/*")
		var answers []snapshot
		go func() {
			require.NoError(t, j.push(t, e, "t", request(2)...))
			answers = append(answers, j.killed(mem, "a 400"))
		}()
		synctest.Wait()
		require.Empty(t, answers, "400 before the log has the good part")
		release()
		synctest.Wait()
		require.Len(t, answers, 1)

		fsys.Add(&faultfs.Rule{Kinds: faultfs.Write, Path: "wal/*", Times: 1, Err: unix.EIO})
		require.ErrorIs(t, j.push(t, e, "t", request(3)...), ErrUnavailable, "the commit failed")
		j.pushAgain(t, e, "t", request(3)...)
		answers = append(answers, j.killed(mem, "the second 400"))
		checkAll(t, j, c, "t", answers)
		require.NoError(t, e.Close())
	})
}

// A sync that fails has lost what was acknowledged since the last good one: the kernel calls those pages clean.
// All of it is written again before anything newer. At every operation from the failure on the process is killed
// and the power is cut: a kill costs nothing, a power cut no more than the class promises, and after the log works
// again nothing that was acknowledged before. (C2)
func TestFailedSync(t *testing.T) {
	for _, class := range []walio.SyncClass{walio.SyncInterval, walio.SyncAlways} {
		for seed := range 4 {
			synctest.Test(t, func(t *testing.T) {
				mem, j := faultfs.NewMem(), newJournal()
				fsys := faultfs.Inject(mem)
				c := memConfig(t, fsys, func(c *Config) { c.Sync = class })
				e := start(t, c)
				for k := range 5 {
					require.NoError(t, j.push(t, e, "t", offers(5, k)...))
				}
				time.Sleep(time.Second) // synced
				disks := newAlbum(j, mem, e, 1+seed)
				fsys.Add(&faultfs.Rule{Kinds: faultfs.Sync, Path: "wal/*", Skip: 1, Times: 1, Err: unix.EIO}, disks.rule())
				for k := 5; k < 12; k++ {
					j.pushAgain(t, e, "t", offers(5, k)...)
					time.Sleep(30 * time.Millisecond)
				}
				time.Sleep(time.Second)
				disks.add("the end")
				require.Equal(t, uint64(1), logStats(e).Failures)
				require.Equal(t, e.Tenant("t").wal.Written(), e.Tenant("t").wal.Synced())
				checkAll(t, j, c, "t", disks.done())
				require.NoError(t, e.Close())
			})
		}
	}
}

func logStats(e *Engine) walio.Stats {
	var st walio.Stats
	e.Tenant("t").wal.Stats(&st)
	return st
}

// A sync that takes three seconds does not put three seconds of acknowledged samples at risk: when the oldest
// commit that is not synced is older than twice the interval, answers wait. The power is cut all along; lost
// are at most the acknowledgements of two intervals, which snapshot.check compares. (C2)
func TestSlowSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, j, rng := faultfs.NewMem(), newJournal(), rand.New(rand.NewPCG(1, 2))
		slow := &faultfs.Rule{Kinds: faultfs.Sync, Path: "wal/*", Delay: 3 * time.Second}
		c := memConfig(t, faultfs.Inject(mem, slow))
		e := start(t, c)
		var all []snapshot
		for k := range 300 {
			require.NoError(t, j.push(t, e, "t", offers(2, k)...))
			if k%3 == 0 {
				all = append(all, j.powerCut(mem, e, "t", rng, fmt.Sprintf("push %d", k)))
			}
			time.Sleep(10 * time.Millisecond)
		}
		checkAll(t, j, c, "t", all)
		require.NoError(t, e.Close())
	})
}

// What the class promises is what the log says it is: with wal-sync=always an answer means that a power cut at
// that instant loses nothing.
func TestAlwaysMeansSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, j, rng := faultfs.NewMem(), newJournal(), rand.New(rand.NewPCG(3, 3))
		c := memConfig(t, mem, func(c *Config) { c.Sync, c.SegmentSize = walio.SyncAlways, 64<<10 })
		e := start(t, c)
		var all []snapshot
		for k := range 60 {
			err := j.push(t, e, "t", offers(20, k)...)
			require.False(t, errors.Is(err, ErrUnavailable), "%v", err)
			s := j.powerCut(mem, e, "t", rng, fmt.Sprintf("answer %d", k))
			s.p = j.promised(1 << 62)
			all = append(all, s)
		}
		checkAll(t, j, c, "t", all)
		require.NoError(t, e.Close())
	})
}

// What many requests left of the same series while the log was busy goes into one commit, in the order in which memory
// took it: new series, older ones, the new ones again. The process that is killed behind that commit has all of it, and
// nothing was out of order in the replay, which snapshot.check looks at. (C17, as far as there is one kind of sample)
func TestOrderInsideACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, j := faultfs.NewMem(), newJournal()
		fsys := faultfs.Inject(mem)
		c := memConfig(t, fsys, byHand, func(c *Config) { c.Stripes = 2 })
		e := start(t, c)
		require.NoError(t, j.push(t, e, "t", offers(3, 0)...))
		release := hang(t, fsys, "wal/*")
		const requests = 20
		for k := range requests {
			go func() { require.NoError(t, j.push(t, e, "t", offers(3+k%7*10, 1+k)...)) }()
			synctest.Wait() // it is in memory
		}
		commits := logStats(e).Commits
		release()
		synctest.Wait()
		require.Equal(t, commits+1, logStats(e).Commits, "one was on its way, all others are in the next")
		require.Len(t, contents(t, e, "t")[pod(0).String()], 1+requests)
		require.NoError(t, j.killed(mem, "the end").check(t, j, c, "t").Close())
	})
}

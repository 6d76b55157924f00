package engine

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/walio"
)

// zero overwrites a part of a file, as a disk does that lost a write.
func zero(t testing.TB, fsys disk.FS, name string, off, size int64) {
	t.Helper()
	f, err := fsys.OpenRW(name)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt(make([]byte, size), off)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
}

func fileSize(t testing.TB, fsys disk.FS, name string) int64 {
	t.Helper()
	info, err := fsys.Stat(name)
	require.NoError(t, err)
	return info.Size()
}

// ledger is what a tenant says it has lost.
func ledger(t testing.TB, c Config) (out []walio.Loss) {
	t.Helper()
	data, err := disk.ReadFile(c.FS, filepath.Join(c.Dir, "t", ledgerFile))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		var l walio.Loss
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		out = append(out, l)
	}
	return out
}

func count(found map[string][]Sample) (n int) {
	for _, s := range found {
		n += len(s)
	}
	return n
}

const segment0 = "/data/t/wal/00000000"

// A page, a sector or a single bit of the log goes bad after it was synced. The next start says how many samples
// that cost, exactly, in the ledger; everything else is there, what came after the damage included; the start
// after it has nothing to report again; and Prometheus reads what is left. (C6, and C7 for the synced part)
func TestDamageInTheSyncedLog(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, fsys disk.FS, size int64){
		"first page":   func(t *testing.T, fsys disk.FS, _ int64) { zero(t, fsys, segment0, 0, 32<<10) },
		"middle page":  func(t *testing.T, fsys disk.FS, _ int64) { zero(t, fsys, segment0, 3*32<<10, 32<<10) },
		"two pages":    func(t *testing.T, fsys disk.FS, _ int64) { zero(t, fsys, segment0, 2*32<<10, 64<<10) },
		"4 KiB":        func(t *testing.T, fsys disk.FS, _ int64) { zero(t, fsys, segment0, 5*32<<10+4<<10, 4<<10) },
		"end of page":  func(t *testing.T, fsys disk.FS, _ int64) { zero(t, fsys, segment0, 4*32<<10-4<<10, 4<<10) },
		"512 bytes":    func(t *testing.T, fsys disk.FS, _ int64) { zero(t, fsys, segment0, 100<<10+512, 512) },
		"one bit":      func(t *testing.T, fsys disk.FS, _ int64) { flip(t, fsys, segment0, 77_777) },
		"record type":  func(t *testing.T, fsys disk.FS, _ int64) { flip(t, fsys, segment0, 4*32<<10) },
		"last commits": func(t *testing.T, fsys disk.FS, size int64) { zero(t, fsys, segment0, size-2000, 1900) },
	} {
		t.Run(name, func(t *testing.T) {
			mem, j := faultfs.NewMem(), newJournal()
			c := memConfig(t, mem, func(c *Config) { c.Checkpoint = false })
			synctest.Test(t, func(t *testing.T) {
				e := start(t, c)
				for k := range 200 {
					require.NoError(t, j.push(t, e, "t", offers(100, k)...))
				}
				require.NoError(t, e.Close())
			})
			require.Greater(t, fileSize(t, mem, segment0), int64(6*32<<10))
			damage(t, mem, fileSize(t, mem, segment0))

			e := start(t, c)
			found := contents(t, e, "t")
			losses := ledger(t, c)
			require.NotEmpty(t, losses)
			lost := 0
			for _, l := range losses {
				require.True(t, l.Bound == walio.BoundExact || name == "last commits", "%+v", l)
				lost += int(l.Samples)
			}
			switch name {
			case "first page": // the names of all series: their samples are there, but nobody's
				require.Equal(t, len(j.series), int(losses[0].Series))
			case "last commits": // nothing behind them tells how much they held
				require.Greater(t, count(found), 190*100)
			default:
				require.Equal(t, 200*100-lost, count(found))
				require.Positive(t, lost)
				require.Less(t, lost, 200*100/3)
			}
			for l, samples := range found {
				for _, s := range samples {
					require.True(t, j.series[l].sent[s])
				}
			}
			if name != "first page" {
				checkStockOpens(t, mem.Kill(), c)
			}
			require.NoError(t, e.Close())

			e = start(t, c)
			require.Equal(t, losses, ledger(t, c), "reported once")
			require.Zero(t, e.Tenant("t").recovered.Losses)
			require.Equal(t, found, contents(t, e, "t"))
			require.NoError(t, e.Close())
		})
	}
}

// checkStockOpens lets Prometheus open the log of tenant t.
func checkStockOpens(t testing.TB, fsys disk.FS, c Config) {
	t.Helper()
	stockOf(t, fsys, filepath.Join(c.Dir, "t"))
}

// A hole among commits that were never synced is the torn end of an unclean stop: the log ends there, because what
// stands behind it would leave gaps in its series; nothing is entered as lost, what was cut off is kept aside, and
// the log goes on. The same hole in a log that was synced costs what was in it and no more. (C7)
func TestHoleInTheTail(t *testing.T) {
	for _, synced := range []bool{false, true} {
		mem, j := faultfs.NewMem(), newJournal()
		c := memConfig(t, mem, func(c *Config) { c.Checkpoint, c.SyncInterval = false, time.Hour })
		var s snapshot
		synctest.Test(t, func(t *testing.T) {
			e := start(t, c)
			require.NoError(t, j.push(t, e, "t", offers(100, 0)...))
			for k := 1; k < 100; k++ {
				require.NoError(t, j.push(t, e, "t", offers(100, k)...))
				time.Sleep(time.Second)
			}
			if synced {
				time.Sleep(time.Hour)
				require.NoError(t, j.push(t, e, "t", offers(100, 100)...)) // its header says so
			}
			s = j.killed(mem, "the end")
		})
		c.FS = s.disk
		zero(t, s.disk, segment0, 2*32<<10, 4<<10)
		e := start(t, c)
		found := contents(t, e, "t")
		if synced {
			lost := 0
			for _, l := range ledger(t, c) {
				lost += int(l.Samples)
			}
			require.Equal(t, 101*100-count(found), lost)
			require.Less(t, lost, 101*100/2)
		} else {
			require.Empty(t, ledger(t, c))
			n := len(found[pod(0).String()])
			require.Less(t, n, 100)
			require.Greater(t, n, 20)
			for l, samples := range found {
				require.Len(t, samples, n, l)
				require.Equal(t, testNow.UnixMilli()+int64(n-1)*15_000, samples[n-1].T, "a gap before the end")
			}
			aside, err := s.disk.ReadDir(filepath.Join(c.Dir, asideDir, "t"))
			require.NoError(t, err)
			require.NotEmpty(t, aside)
		}
		j.settle(found)
		require.NoError(t, j.push(t, e, "t", offers(120, 200)...))
		checkStockOpens(t, s.disk.Kill(), c)
		s = j.killed(s.disk, "after the hole")
		require.NoError(t, s.check(t, j, c, "t").Close())
	}
}

// The operator removes the log, or parts of it, after a clean stop or a kill. The images are there. Numbers of
// commits and segments go on, so that what comes is not taken for what the images hold; it survives a kill, and
// even the damage of the newest images, although the log that the older ones need is gone. (C11, and the fault that
// C4 speaks of)
func TestLogRemoved(t *testing.T) {
	remove := map[string]func(fsys disk.FS) error{
		"all of wal":      func(fsys disk.FS) error { return fsys.RemoveAll("/data/t/wal") },
		"all segments":    removeSegments(0, 1000),
		"first segments":  removeSegments(0, 2),
		"newest segments": removeSegments(3, 1000),
		"one in between":  removeSegments(2, 3),
	}
	ends := []string{"kill behind the images", "clean stop", "kill"}
	if underRace {
		ends = ends[:1]
	}
	for name, remove := range remove {
		for _, end := range ends {
			t.Run(name+" after a "+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					mem, j := faultfs.NewMem(), newJournal()
					c := memConfig(t, mem, byHand, func(c *Config) { c.SegmentSize = 64 << 10 })
					e := start(t, c)
					// The newest images hold series and samples that the older ones do not.
					for k := range 120 {
						require.NoError(t, j.push(t, e, "t", offers(200+k, k)...))
						if k == 60 || k == 119 {
							imageAll(t, e)
						}
					}
					p, greatest := j.promised(1<<62), logStats(e).CurrentSegment
					require.Greater(t, greatest, 4)
					if end == "kill behind the images" { // these may be lost with the log
						for k := 120; k < 130; k++ {
							require.NoError(t, j.push(t, e, "t", offers(330, k)...))
						}
						time.Sleep(time.Second)
						require.NoError(t, e.Tenant("t").store.Publish(ckpt.Update{SyncedThrough: e.Tenant("t").wal.Synced()}))
					}
					if end == "clean stop" {
						require.NoError(t, e.Close())
					}
					disk := mem.Kill()
					require.NoError(t, remove(disk))

					c.FS = disk
					second := start(t, c)
					found := contents(t, second, "t")
					for name, n := range p {
						p[name] = struct{ had, durable int }{n.durable, n.durable}
					}
					j.judge(t, found, p)
					j.settle(found)
					require.NoError(t, j.push(t, second, "t", offers(350, 300)...))
					require.Greater(t, logStats(second).CurrentSegment, greatest, "segment numbers begin again")
					time.Sleep(time.Second)
					s := j.killed(disk, "the second process")
					checkStockOpens(t, s.disk.Kill(), c)

					for _, damaged := range []bool{false, true} {
						s.disk = s.disk.Kill()
						c.FS = s.disk
						if damaged {
							for _, name := range newestImages(t, c) {
								flip(t, s.disk, name, inImage)
							}
						}
						third := start(t, c)
						j.judge(t, contents(t, third, "t"), s.p)
						require.Zero(t, third.Tenant("t").recovered.Losses, "commits of the second process count as lost")
						require.NoError(t, third.Close())
					}
				})
			})
		}
	}
}

// removeSegments removes the segments from, from+1, ... up to, but not with, to.
func removeSegments(from, to int) func(disk.FS) error {
	return func(fsys disk.FS) error {
		entries, err := fsys.ReadDir("/data/t/wal")
		for i, e := range entries {
			if err == nil && i >= from && i < to && !e.IsDir() {
				err = fsys.Remove(filepath.Join("/data/t/wal", e.Name()))
			}
		}
		return err
	}
}

// A reference is never given out twice, not even if the record that named it is destroyed and only samples speak
// of it; and it stays so when the damaged log has been cut and only images are left to remember. (C18)
func TestReferencesAreNotReused(t *testing.T) {
	for _, images := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			mem, j := faultfs.NewMem(), newJournal()
			c := memConfig(t, mem, func(c *Config) { c.Checkpoint, c.Stripes, c.SegmentSize = false, 1, 64<<10 })
			e := start(t, c)
			for k := range 10 {
				require.NoError(t, j.push(t, e, "t", offers(50, k)...))
			}
			begin := fileSize(t, mem, segment0)
			fresh := pod(1000)
			require.NoError(t, j.push(t, e, "t", offer{l: fresh, s: sample(testNow.UnixMilli(), 1)}))
			end := fileSize(t, mem, segment0)
			for k := 10; fileSize(t, mem, segment0) < 33<<10; k++ {
				require.NoError(t, j.push(t, e, "t", offers(50, k)...))
			}
			require.NoError(t, j.push(t, e, "t", offer{l: fresh, s: sample(testNow.UnixMilli()+1, 2)}))
			given := e.Tenant("t").stripes[0].root.next
			require.NoError(t, e.Close())
			zero(t, mem, segment0, begin, end-begin)

			c.Checkpoint = images
			c.CheckpointDuration = 10 * time.Millisecond
			e = start(t, c)
			require.Equal(t, int64(1), e.Tenant("t").recovered.Unknown, "a sample that nobody's name is known of")
			for life := range 3 {
				require.GreaterOrEqual(t, e.Tenant("t").stripes[0].root.next, given, "life %d", life)
				if life > 0 || !images {
					l := pod(2000 + life)
					require.NoError(t, j.push(t, e, "t", offer{l: l, s: sample(testNow.UnixMilli()+(1000+300*int64(life))*15_000, 3)}))
					require.Len(t, contents(t, e, "t")[l.String()], 1)
				}
				for k := range 300 {
					require.NoError(t, j.push(t, e, "t", offers(50, 1000+300*life+k)...))
					time.Sleep(time.Millisecond)
				}
				if images {
					require.Positive(t, logStats(e).FirstSegment, "the log was cut")
				}
				require.NoError(t, e.Close())
				e = start(t, c)
			}
		})
	}
}

// inStripe returns n label sets of a stripe of two.
func inStripe(stripe uint64, n int) (out []labels.Labels) {
	for i := 0; len(out) < n; i++ {
		if l := pod(int(stripe+1)*100_000 + i); xxhash.Sum64(keyOf(l))%2 == stripe {
			out = append(out, l)
		}
	}
	return out
}

// The only thing that the log says of a stripe since its images is a sample of a reference whose name is destroyed. The
// stripe is imaged again, rather than moved on as idle: when the log has been cut, nothing else remembers that the
// reference was given out. (C18 with C15)
func TestReferenceOfADestroyedSeriesStaysTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, j := faultfs.NewMem(), newJournal()
		c := memConfig(t, mem, byHand, func(c *Config) { c.Stripes, c.SegmentSize = 2, 64<<10 })
		e := start(t, c)
		at := testNow.UnixMilli()
		send := func(e *Engine, sets ...labels.Labels) {
			at += 1000
			var x []offer
			for i, l := range sets {
				x = append(x, offer{l: l, s: sample(at, float64(at)*float64(i))})
			}
			require.NoError(t, j.push(t, e, "t", x...))
		}
		quiet, busy := inStripe(0, 11), inStripe(1, 50)
		send(e, append(quiet[:10:10], busy...)...)
		imageAll(t, e)
		imageAll(t, e)
		begin := fileSize(t, mem, segment0)
		send(e, quiet[10])
		end := fileSize(t, mem, segment0)
		for fileSize(t, mem, segment0) < 33<<10 {
			send(e, busy...)
		}
		send(e, quiet[10])
		time.Sleep(time.Second)
		send(e, busy...) // says that all before is synced
		given := e.Tenant("t").stripes[0].root.next
		disk := mem.Kill()
		zero(t, disk, segment0, begin, end-begin)

		c.FS, c.CheckpointDuration = disk, time.Second
		e = start(t, c)
		require.Equal(t, int64(1), e.Tenant("t").recovered.Unknown)
		for n := 0; logStats(e).FirstSegment <= 0; n++ {
			require.Less(t, n, 10_000, "the log is never cut")
			send(e, busy...)
			time.Sleep(20 * time.Millisecond)
		}
		c.FS = disk.Kill()
		e = start(t, c)
		require.GreaterOrEqual(t, e.Tenant("t").stripes[0].root.next, given)
	})
}

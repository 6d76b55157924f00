package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// The tails that are let grow are those of the target, or without one, those whose replay takes as long as the images.
func TestRestartTarget(t *testing.T) {
	of := func(target time.Duration, imageBytes int64) time.Duration {
		e := start(t, testConfig(t, func(c *Config) { c.RestartTarget, c.Stripes, c.Checkpoint = target, 2, false }))
		var b Batch
		add(&b, pod(0), sample(testNow.UnixMilli(), 1))
		push(t, e, "t", &b)
		tn := e.Tenant("t")
		tn.stripes[1].since.bytes.Store(imageBytes)
		return tn.restartTarget()
	}
	require.Equal(t, time.Millisecond, of(time.Millisecond, 1<<40))
	require.Equal(t, restartTargetMin, of(0, 1<<20))
	require.Equal(t, restartWork{imageBytes: 4 << 30}.images(2), of(0, 4<<30))
}

// What the forecast counts is what a restart finds: after random pushes and images, in the middle of all of it, after a
// restart, and while an image is on its way that the kill will take.
func TestForecastCountsWhatARestartFinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, j := faultfs.NewMem(), newJournal()
		c := memConfig(t, mem, byHand)
		e := start(t, c)
		k := 0
		push := func(n int) {
			for range n {
				k++
				require.NoError(t, j.push(t, e, "t", offers(40+k/2, k)...))
			}
		}
		check := func(when string) {
			t.Helper()
			said := e.Tenant("t").restartWork()
			c.FS = mem.Kill()
			next := start(t, c)
			r := next.Tenant("t").recovered
			require.Equal(t, said.imageBytes, r.ImageBytes, when)
			require.InDelta(t, r.Samples, said.samples, float64(c.Stripes), when) // a start adds one to each tail
			require.Equal(t, said.series, int64(r.Series), when)
			require.GreaterOrEqual(t, r.Entries, said.entries, when) // it is read in pieces of many commits
			require.GreaterOrEqual(t, said.entries, said.samples+said.series, when)
			require.GreaterOrEqual(t, r.Names, said.names, when)
			require.GreaterOrEqual(t, said.names, said.series, when)
			require.NoError(t, next.Close())
		}
		push(30)
		check("no image yet")
		imageAll(t, e)
		check("all of it is in images")
		push(20)
		imageStripes(t, e, 1, 2)
		push(20)
		check("images of different moments")

		c.FS = mem.Kill()
		require.NoError(t, e.Close())
		mem = c.FS.(*faultfs.Mem)
		e = start(t, c)
		check("after a restart")
		push(10)
		e.cfg.crash = func(point string) {
			if point == "publish" {
				check("images are written and not published")
			}
		}
		imageStripes(t, e, 0, 3)
		check("at the end")
		require.NoError(t, e.Close())
	})
}

// A machine that takes so many times what the constants say is known after a few starts, from the first one on nearly,
// also for a part that no start has had yet; one start that was disturbed does not change much; and what takes no time
// teaches little.
func TestForecastLearns(t *testing.T) {
	const slow = 2.5
	expected := Restart{Log: time.Second, Rest: restartRest}
	took := Restart{Log: 2500 * time.Millisecond, Rest: restartRest * 5 / 2}
	var s restartSpeed
	require.Equal(t, time.Second, s.log(time.Second))
	s.learn(&took, expected)
	require.InDelta(t, slow, s.log(time.Second).Seconds(), slow*0.2)
	require.Equal(t, s.log(time.Second), s.images(time.Second))
	for range 3 {
		s.learn(&took, expected)
	}
	require.InDelta(t, slow, s.log(time.Second).Seconds(), slow*0.1)

	expected.Images, took.Images = 2*time.Second, 2*time.Second
	for range 3 {
		s.learn(&took, expected)
	}
	require.InDelta(t, 1, s.images(time.Second).Seconds(), 0.1)
	require.InDelta(t, slow, s.log(time.Second).Seconds(), slow*0.1)
	for range 10 {
		s.learn(&took, expected)
	}
	require.InDelta(t, slow, s.rest().Seconds()/restartRest.Seconds(), slow*0.1)

	before := s.log(time.Second)
	disturbed := took
	disturbed.Log *= 3
	s.learn(&disturbed, expected)
	require.InDelta(t, before.Seconds(), s.log(time.Second).Seconds(), before.Seconds()*0.1)
	before = s.log(time.Second)
	s.learn(&Restart{Log: time.Millisecond, Rest: took.Rest}, Restart{Log: time.Millisecond})
	require.InDelta(t, before.Seconds(), s.log(time.Second).Seconds(), before.Seconds()*0.02)
	s.learn(&Restart{Rest: took.Rest}, Restart{}) // neither images nor a log
	require.InDelta(t, before.Seconds(), s.log(time.Second).Seconds(), before.Seconds()*0.02)
}

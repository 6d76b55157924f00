package engine

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk"
)

// Both images of a stripe are lost, and the log is cut: its series come back by name, from the log's checkpoint.
// Images of other stripes must not enter it as empty meanwhile: what is pushed for these series is there after
// a kill. Chunk files of the stripe, which nothing refers to any more, are not removed: they hold what is left.
func TestBothImagesLost(t *testing.T) {
	c := testConfig(t, byHand, func(c *Config) { c.Stripes, c.SegmentSize = 2, 64<<10 })
	e := start(t, c)
	now := testNow.UnixMilli()
	round := func(k int, stripes ...uint64) {
		var b Batch
		for i := range 100 {
			if slices.Contains(stripes, xxhash.Sum64(keyOf(pod(i)))&1) {
				add(&b, pod(i), sample(now+int64(k)*15_000, float64(i*k)))
			}
		}
		push(t, e, "t", &b)
	}
	for k := range 200 {
		round(k, 0, 1)
	}
	for k := range 200 { // what remains of the log says nothing of stripe 0
		round(200+k, 1)
		if k == 100 || k == 150 || k == 199 {
			imageAll(t, e)
		}
	}
	series := len(contents(t, e, "t"))
	require.NoError(t, e.Close())
	chunks, err := filepath.Glob(filepath.Join(c.Dir, "t/chunks/00-*"))
	require.NoError(t, err)
	require.NotEmpty(t, chunks)
	for _, slot := range []string{"00.a", "00.b"} {
		flip(t, disk.OS, filepath.Join(c.Dir, "t/images", slot), inImage)
	}

	e = start(t, c)
	require.Equal(t, int64(2), e.Tenant("t").recovered.ImagesDamaged)
	require.Zero(t, e.Tenant("t").stripes[0].root.stored)
	imageStripes(t, e, 1)
	round(500, 0, 1)
	want := contents(t, e, "t")
	require.Len(t, want, series)
	killed := t.TempDir()
	require.NoError(t, os.CopyFS(killed, os.DirFS(c.Dir)))
	require.NoError(t, e.Close())
	for _, name := range chunks {
		kept, err := filepath.Glob(filepath.Join(c.Dir, "@aside/t/chunks*", filepath.Base(name)))
		require.NoError(t, err)
		require.NotEmpty(t, kept, "%s is gone", name)
	}

	c.Dir = killed
	e = start(t, c)
	require.Equal(t, want, contents(t, e, "t"))
	require.Zero(t, e.Tenant("t").recovered.Unknown)
	require.NoError(t, e.Close())
}

// A stripe has one image, that of a clean stop, and the next process is killed while it writes over it: nothing is lost,
// nothing is called damaged, and the closed chunks, which the log has too, are not set aside.
func TestKilledInTheFirstImage(t *testing.T) {
	var c Config
	killed := t.TempDir()
	kill := func(string) {}
	c = testConfig(t, byHand, func(c *Config) {
		c.Stripes = 1
		c.crash = func(point string) { kill(point) }
	})
	e := start(t, c)
	for k := range 300 {
		var b Batch
		add(&b, pod(1), sample(testNow.UnixMilli()+int64(k)*15_000, float64(k)))
		push(t, e, "t", &b)
	}
	require.NoError(t, e.Close())
	e = start(t, c)
	want := contents(t, e, "t")
	var b Batch
	add(&b, pod(2), sample(testNow.UnixMilli()+300*15_000, 1))
	push(t, e, "t", &b)
	kill = func(point string) {
		if point == "written" {
			require.NoError(t, os.CopyFS(killed, os.DirFS(c.Dir)))
		}
	}
	imageAll(t, e)
	kill = func(string) {}
	require.NoError(t, e.Close())
	chunks, err := filepath.Glob(filepath.Join(killed, "t/chunks/*"))
	require.NoError(t, err)
	require.NotEmpty(t, chunks)

	c.Dir = killed
	e = start(t, c)
	require.Zero(t, e.Tenant("t").recovered.ImageBytes) // there is none
	got := contents(t, e, "t")
	for name, samples := range want {
		require.Equal(t, samples, got[name])
	}
	require.Len(t, got, len(want)+1)
	require.Zero(t, e.Tenant("t").recovered.ImagesDamaged)
	require.NoError(t, e.Close())
	aside, err := filepath.Glob(filepath.Join(killed, "@aside/t/chunks*"))
	require.NoError(t, err)
	require.Empty(t, aside)
}

// A series that is not logged yet when the log is cut, and never is because the process is killed, is not in the
// log's checkpoint. It comes back under another index; if the images are lost later, its samples are found by that.
func TestSeriesMadeDuringCutAreNotNamed(t *testing.T) {
	now := testNow.UnixMilli()
	var made Batch
	add(&made, pod(1000), sample(now, 1))
	onCut := func() {}
	c := testConfig(t, byHand, func(c *Config) {
		c.Stripes, c.SegmentSize = 1, 64<<10
		c.crash = func(point string) {
			if point == "cut" {
				onCut()
			}
		}
	})
	e := start(t, c)
	for k := range 300 {
		var b Batch
		for i := range 100 {
			add(&b, pod(i), sample(now+int64(k)*10_000, rand.Float64()))
		}
		push(t, e, "t", &b)
		if k == 299 {
			onCut = func() {
				require.NoError(t, e.Tenant("t").place(&made, bounds{maxT: math.MaxInt64}, &outcome{}))
			}
		}
		if k%100 == 99 {
			imageAll(t, e)
		}
	}
	require.True(t, e.Tenant("t").stripes[0].dirty.Load(), "the log was cut, and not written since")
	killed := t.TempDir()
	require.NoError(t, os.CopyFS(killed, os.DirFS(c.Dir)))
	require.NoError(t, e.Close())

	c.Dir = killed
	e = start(t, c)
	var other Batch
	add(&other, pod(1001), sample(now, 1))
	push(t, e, "t", &other)
	push(t, e, "t", &made)
	require.NoError(t, e.Close())
	for _, slot := range []string{"00.a", "00.b"} {
		flip(t, disk.OS, filepath.Join(c.Dir, "t/images", slot), inImage)
	}
	e = start(t, c)
	require.Equal(t, uint64(102), e.Tenant("t").recovered.Series, "no image is left, all names come from the log")
	require.Zero(t, e.Tenant("t").recovered.Misplaced)
	require.Equal(t, made.Samples, contents(t, e, "t")[pod(1000).String()])
	require.NoError(t, e.Close())
}

package takein

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// The process is killed, the power is cut, or an operation fails, at any operation on the data directory: the tenant is
// there as a whole or not at all, and a second run makes it whole. A failed run leaves nothing of itself behind.
func TestTakeOverInterrupted(t *testing.T) {
	s := newStock(t, 4)
	s.scrape(20, 60)
	s.lateSamples(20, 20)
	s.close()
	want := s.answers()
	c := config("/data")
	c.Stripes = 2
	run := func(fsys disk.FS) error {
		c := c
		c.FS = fsys
		_, err := Run(context.Background(), Options{Source: s.dir, Tenant: "team", Engine: c})
		return err
	}
	final := filepath.Join(c.Dir, "team")
	whole := func(fsys *faultfs.Mem) bool {
		_, err := fsys.Stat(final)
		if errors.Is(err, fs.ErrNotExist) {
			return false
		}
		require.NoError(t, err)
		c := c
		c.FS = fsys.Kill() // as it is now: the engine that looks changes it
		requireEqual(t, want, held(t, c, "team"))
		return true
	}
	there := 0
	for n := 0; ; n += 7 {
		mem := faultfs.NewMem()
		rng := rand.New(rand.NewPCG(uint64(n), 9))
		var killed, cut *faultfs.Mem
		stop := &faultfs.Rule{Skip: n, Times: 1, Before: func(faultfs.Op) { killed, cut = mem.Kill(), mem.Crash(rng) }}
		require.NoError(t, run(faultfs.Inject(mem, stop)))
		if stop.Fired() == 0 {
			break
		}
		for name, left := range map[string]*faultfs.Mem{"killed": killed, "power cut": cut} {
			if whole(left) {
				there++
			}
			require.NoError(t, run(left), "%s at operation %d", name, n)
			require.True(t, whole(left))
		}

		for _, broken := range []error{unix.EIO, unix.ENOSPC} {
			mem = faultfs.NewMem()
			rule := &faultfs.Rule{Kinds: faultfs.Mutations, Skip: n / 3, Times: 1, Err: broken}
			if err := run(faultfs.Inject(mem, rule)); err != nil && !whole(mem) {
				entries, err := mem.ReadDir(c.Dir)
				require.True(t, err == nil || errors.Is(err, fs.ErrNotExist))
				for _, e := range entries {
					require.Equal(t, "@rekindle", e.Name(), fmt.Sprint(n))
				}
			}
			require.NoError(t, run(mem), "%v at operation %d", broken, n/3)
			require.True(t, whole(mem))
		}
	}
	require.NotZero(t, there)
}

package engine

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena"
)

// A panic in the middle of a change of a stripe ends the process, although the handler around it recovers from
// panics like every HTTP and gRPC server: a child process appends a series whose key no decoder lets through, which the
// stripe finds out when it is half made. What was acknowledged before is there when the next process starts, and it
// goes on. (C19)
func TestPanicInAppendEndsTheProcess(t *testing.T) {
	const variable = "REKINDLE_TEST_PANIC_IN"
	if dir := os.Getenv(variable); dir != "" {
		appendAndPanic(t, dir)
		return
	}
	c := testConfig(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestPanicInAppendEndsTheProcess$")
	cmd.Env = append(os.Environ(), variable+"="+c.Dir)
	out, err := cmd.CombinedOutput()
	var exited *exec.ExitError
	require.True(t, errors.As(err, &exited), "the process went on: %s", out)
	require.Equal(t, exitHalfChanged, exited.ExitCode(), "%s", out)
	require.Contains(t, string(out), "middle of a change")
	require.Contains(t, string(out), "set aside failed", "it says why")

	e := start(t, c)
	require.Equal(t, map[string][]Sample{pod(1).String(): {sample(testNow.UnixMilli(), 1)}}, contents(t, e, "t"))
	var b Batch
	add(&b, pod(1), sample(testNow.UnixMilli()+1, 2))
	push(t, e, "t", &b)
	require.NoError(t, e.Close())
}

func appendAndPanic(t *testing.T, dir string) {
	e := start(t, testConfig(t, func(c *Config) { c.Dir, c.Stripes = dir, 1 }))
	var b Batch
	add(&b, pod(1), sample(testNow.UnixMilli(), 1))
	push(t, e, "t", &b)
	func() {
		defer func() { _ = recover() }()
		key := []byte{0x0a, 2, 'a', 'b'} // one label that has no name and no value
		bad := Batch{Series: []BatchSeries{{Key: key, Hi: 1}}, Samples: []Sample{{T: testNow.UnixMilli()}}}
		_, _ = e.Append(context.Background(), "t", &bad)
	}()
	os.Exit(0) // what a server that survives would do in the end
}

// A stripe that is in the middle of a change is not imaged, whoever asks; and were it in an image all the same, the walk
// before the publication and the walk when it is loaded would refuse it. (C19, C20)
func TestHalfChangedStripeIsNotImaged(t *testing.T) {
	e := start(t, testConfig(t, byHand, func(c *Config) { c.Stripes = 1 }))
	var b Batch
	add(&b, pod(1), sample(testNow.UnixMilli(), 1))
	push(t, e, "t", &b)
	s, m := &e.Tenant("t").stripes[0], e.Tenant("t").images

	var refused any
	defer func(f func(int, any, []byte)) { exit = f }(exit)
	exit = func(_ int, cause any, _ []byte) { refused = cause; panic("exit") }
	func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.root.mutation.Add(1)
		defer s.root.mutation.Add(1)
		require.Panics(t, func() { m.shoot(s, 10, &copyBuffer{}) })
		require.NotNil(t, refused)
		require.ErrorIs(t, walkImage(s.id, s.log, s.a.Snapshot()), arena.ErrDamaged)
	}()
	imageAll(t, e)
}

// A fault of the program, or a stray write, has changed a record. The image that shows it is not published, no other
// one of that stripe is, and the log is kept: the next process starts from what was sound. (C20)
func TestBrokenMemoryIsNotPublished(t *testing.T) {
	c := testConfig(t, byHand, func(c *Config) { c.Stripes = 1 })
	e := start(t, c)
	round := func(k int) {
		var b Batch
		for _, o := range offers(20, k) {
			add(&b, o.l, o.s)
		}
		push(t, e, "t", &b)
	}
	round(0)
	imageAll(t, e)
	round(1)
	want := contents(t, e, "t")
	s, m := &e.Tenant("t").stripes[0], e.Tenant("t").images
	s.mu.Lock()
	r := s.record(7)
	r.labels += 1
	s.a.Touch(s.root.index.Get(s.a, 7), recordSize)
	s.mu.Unlock()
	published := m.store.Entries(0)
	require.ErrorIs(t, m.round(t.Context(), []int{0}), arena.ErrDamaged)
	require.Equal(t, published, m.store.Entries(0))
	require.Nil(t, m.due(testNow.Add(math.MaxInt64)))
	require.NoError(t, e.Close())

	e = start(t, c)
	require.Equal(t, want, contents(t, e, "t"))
	require.NoError(t, e.Close())
}

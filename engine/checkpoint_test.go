package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// After a checkpoint that was asked for, a killed process's successor has nothing to replay of the tenant; of others it has,
// names that are unknown and engines without images are no errors.
func TestCheckpointOnDemand(t *testing.T) {
	c := testConfig(t)
	e := start(t, c)
	for _, tenant := range []string{"a", "b"} {
		b := &Batch{}
		for i := range 100 {
			add(b, pod(i), sample(testNow.UnixMilli(), float64(i)))
		}
		push(t, e, tenant, b)
	}
	tail := func(tenant string) int64 {
		var st Stats
		e.Tenant(tenant).Stats(&st)
		return st.Tail
	}
	require.NoError(t, e.Checkpoint(t.Context(), "a", "unknown"))
	require.Zero(t, tail("a"))
	require.NotZero(t, tail("b"))
	require.NoError(t, e.Checkpoint(t.Context()))
	require.Zero(t, tail("b"))
	require.NoError(t, e.Close())
	require.ErrorIs(t, e.Checkpoint(t.Context()), ErrUnavailable)

	e = start(t, testConfig(t, func(c *Config) { c.Checkpoint = false }))
	push(t, e, "a", func() *Batch { b := &Batch{}; add(b, pod(1), sample(testNow.UnixMilli(), 1)); return b }())
	require.NoError(t, e.Checkpoint(t.Context()))
}

// The first image after a start is of everything, because nothing is known of the slot: it is copied into memory that was
// there before, as any other. To make room under the lock takes tens of milliseconds.
func TestCopiesFitTheirBuffers(t *testing.T) {
	c := testConfig(t, func(c *Config) { c.Stripes = 1 })
	at := testNow.UnixMilli()
	for range 3 {
		e := start(t, c)
		for n := 20_000; n > 0; n /= 10 { // all series, some, ...
			b := &Batch{}
			for i := range n {
				add(b, pod(i), sample(at, 1))
			}
			at++
			push(t, e, "t", b)
			m := e.Tenant("t").images
			size := m.size(0)
			require.NoError(t, e.Checkpoint(t.Context()))
			buf := &m.bufs[0]
			require.Positive(t, buf.copy.Size())
			require.InDelta(t, size, buf.copy.Size(), 1<<20, "rounds are planned by it")
			require.GreaterOrEqual(t, cap(buf.data), buf.copy.Size(), "%d series", n)
		}
		require.NoError(t, e.Close())
	}
}

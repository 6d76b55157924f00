package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What is written takes the time that it was given, evenly, and nothing as soon as there is a hurry. Whatever no time was
// set for is not held up.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pace{e: &Engine{}}
		begun, hurry := time.Now(), false
		p.wait(1 << 30)
		require.Zero(t, time.Since(begun))

		p.begin(100, 10*time.Second, func() bool { return hurry })
		for i := range 100 {
			p.wait(1)
			require.InDelta(t, float64(i)/10, time.Since(begun).Seconds(), 0.001)
			if i == 60 {
				break
			}
		}
		hurry = true
		p.wait(1)
		p.wait(1000) // more than was said
		require.InDelta(t, 6, time.Since(begun).Seconds(), 0.001)
		p.end()
		p.wait(1 << 30)
		require.InDelta(t, 6, time.Since(begun).Seconds(), 0.001)
	})
}

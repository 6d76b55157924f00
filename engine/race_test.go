//go:build race

package engine

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena"
)

// underRace: the race detector watches, and everything takes ten times as long.
const underRace = true

// A child process changes a record of a stripe from two goroutines, with the stripe's lock and without: the detector
// ends it in the second case, because arenas are Go memory in this build. It sees nothing in mapped memory, where a
// green run would prove nothing. (M11)
func TestRaceDetectorSeesArenas(t *testing.T) {
	const variable = "REKINDLE_TEST_RACE"
	switch os.Getenv(variable) {
	case "locked":
		changeTwice(t, true)
		return
	case "unlocked":
		changeTwice(t, false)
		return
	}
	child := func(how string) (string, error) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestRaceDetectorSeesArenas$")
		cmd.Env = append(os.Environ(), variable+"="+how)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := child("locked")
	require.NoError(t, err, out)
	out, err = child("unlocked")
	require.Error(t, err)
	require.Contains(t, out, "DATA RACE")
}

func changeTwice(t *testing.T, locked bool) {
	s := &stripe{reserve: 1 << 20}
	require.NoError(t, s.open())
	r, err := s.a.Alloc(arena.Records, recordSize)
	require.NoError(t, err)
	done := make(chan bool)
	for range 2 {
		go func() {
			for range 1000 {
				if locked {
					s.mu.Lock()
				}
				arena.At[record](s.a, r).lastSeen++
				if locked {
					s.mu.Unlock()
				}
			}
			done <- true
		}()
	}
	<-done
	<-done
}

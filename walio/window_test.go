package walio

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Small commits are decoded together, and their samples brought together by stripe. Each stripe gets its own in the
// order of the log all the same: between times so far from each other that they have no base in common, between
// records of other kinds, and with keys that are longer than the room that is set aside for them.
func TestSmallCommitsTogether(t *testing.T) {
	for _, start := range []int64{0, 1_700_000_000_000} {
		smallCommitsTogether(t, start)
	}
}

func smallCommitsTogether(t *testing.T, start int64) {
	rng := rand.New(rand.NewPCG(5, 1))
	d, src, w := newTestDir(t), newTestSource(), newWorkload(5)
	w.t = start
	src.add(entry{ref: 4, t: start})
	l := d.start(Position{}, src)
	const commits = 150
	for k := range commits {
		for _, e := range w.next(60) {
			if e.key != "" && k > 2*commits/3 {
				continue // no new series, which would come between the samples
			}
			rare := k%20 < 5 && rng.IntN(20) == 0
			if e.key == "" && rare {
				e.t += int64(rng.IntN(2)) << 40
			}
			if e.key != "" && k > commits/3 {
				e.key = key("__name__", fmt.Sprint(e.ref), "z", strings.Repeat("long", 200))
			}
			src.add(e)
			if rare {
				src.add(entry{ref: e.ref, rec: tombstone(e.ref, e.t)})
			}
		}
		src.add(entry{ref: 4, t: w.t, v: 1}) // no commit is empty
		wait(t, l)
	}
	last := l.Written()
	closeLog(t, l)
	for _, window := range []int{0, 200_000} {
		for _, from := range [][]uint64{nil, {last / 3, 0, last, last / 2}} {
			handler := &runRecorder{}
			o := d.recoverOptions()
			o.Window, o.From = window, from
			res, err := Recover(t.Context(), o, handler)
			if err != nil {
				t.Fatal(err)
			}
			d.check(src, &handler.recorder, from, last)
			if len(res.Losses) > 0 || handler.longest[1] < 60 {
				t.Fatalf("no more than %d samples came together, losses %v", handler.longest[1], res.Losses)
			}
		}
	}
}

// runRecorder is a recorder that knows how long the longest run of samples of each stripe was.
type runRecorder struct {
	recorder
	longest [stripesMax]uint32
}

func (r *runRecorder) Apply(stripe int, windows []StripeWindow) error {
	for _, w := range windows {
		for _, run := range w.Runs {
			if run.Kind == RunSamples {
				r.longest[stripe] = max(r.longest[stripe], run.Hi-run.Lo)
			}
		}
	}
	return r.recorder.Apply(stripe, windows)
}

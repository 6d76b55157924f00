package ckpt

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// TestCutPoint follows a tenant of two stripes through its life, as the example in the package comment does: which
// slot an image goes to, what the catalogue says afterwards, and how far the log may be cut.
func TestCutPoint(t *testing.T) {
	mem := faultfs.NewMem()
	s, err := Create(testConfig(mem), testIdentity(2))
	s = mustStore(t, s, err)
	models := []*model{newModel(0), newModel(1)}
	r := rand.New(rand.NewPCG(1, 1))

	image := func(stripe int, commit uint64) func() error {
		return func() error { models[stripe].change(r); return models[stripe].take(s, commit) }
	}
	idle := func(stripe int, since, to uint64) func() error {
		return func() error { return s.Publish(Update{Idle: []Idle{{stripe, since, to}}, SyncedThrough: to}) }
	}
	stop := func(stripe int, commit uint64) func() error {
		return func() error {
			models[stripe].change(r)
			w, err := models[stripe].write(s, commit)
			if err != nil {
				return err
			}
			return s.Publish(Update{Images: []*Writer{w}, Unsynced: true, SyncedThrough: commit})
		}
	}
	start := func() error {
		s = reopen(t, mem)
		for i := range models {
			_, _, bytesOf, err := load(s, i)
			if err != nil {
				return err
			}
			past := models[i].past
			models[i] = loaded(i, bytesOf)
			models[i].past = past
		}
		return nil
	}
	for i, step := range []struct {
		do      func() error
		entries string // of stripe 0; stripe 1
		cut     uint64
	}{
		{idle(0, 0, 10), "none@10; -", 0},
		{idle(1, 0, 10), "none@10; none@10", 10},
		{image(0, 20), "a@20 none@10; none@10", 10},
		{idle(1, 5, 25), "a@20 none@10; none@25", 10},
		{image(0, 30), "b@30 a@20; none@25", 20},
		{idle(0, 25, 50), "b@50 a@20; none@25", 20}, // a has not what came in 21 to 25
		{idle(1, 0, 50), "b@50 a@20; none@50", 20},
		{image(0, 60), "a@60 b@50; none@50", 50},
		{idle(0, 60, 65), "a@65 b@50; none@50", 50},
		{image(0, 70), "b@70 a@65; none@50", 50}, // nothing changed: one more image, and both move for free
		{idle(0, 65, 80), "b@80 a@80; none@50", 50},
		{idle(1, 0, 80), "b@80 a@80; none@80", 80},
		{stop(0, 90), "a@90* b@80; none@80", 80},
		{start, "a@90* b@80; none@80", 80},
		{image(0, 100), "a@100 b@80; none@80", 80}, // over the one that was not synced
		{image(0, 110), "b@110 a@100; none@80", 80},
		{image(1, 120), "b@110 a@100; a@120 none@80", 80},
		{stop(1, 130), "b@110 a@100; b@130* a@120", 100},
		{start, "b@110 a@100; b@130* a@120", 100},
		{stop(1, 140), "b@110 a@100; b@140* a@120", 100},
	} {
		must(t, step.do())
		var got []string
		for stripe := range models {
			var e []string
			for _, x := range s.Entries(stripe) {
				e = append(e, fmt.Sprintf("%s@%d%s", x.Slot, x.Commit, map[bool]string{false: "*"}[x.Synced]))
			}
			got = append(got, strings.Join(e, " "))
			if len(e) == 0 {
				got[stripe] = "-"
			}
		}
		if g := strings.Join(got, "; "); g != step.entries || s.CutPoint() != step.cut {
			t.Fatalf("step %d: got %s, cut %d; want %s, cut %d", i, g, s.CutPoint(), step.entries, step.cut)
		}
	}
}

// TestRejectedImageDoesNotCut shows that a stripe with one image left keeps the whole log.
func TestRejectedImageDoesNotCut(t *testing.T) {
	mem, _ := twoImages(t)
	flip(t, mem, testDir+"/images/00.b", dataOffset, 1)
	s := reopen(t, mem)
	if s.CutPoint() != 10 {
		t.Fatalf("CutPoint %d before", s.CutPoint())
	}
	_, _, _, err := load(s, 0)
	must(t, err)
	if s.CutPoint() != 0 {
		t.Fatalf("CutPoint %d after an image was given up", s.CutPoint())
	}
}

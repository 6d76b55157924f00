package lifecycle

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rekindledb/rekindle/rpc/ring"
)

// fresh waits for another's tokens and keeps none of its own on disk, as with the WAL off.
func fresh(c *Config) { c.TokensFile, c.JoinAfter = "", time.Minute }

// A PENDING instance takes a LEAVING one's tokens in one step and is a member at once; the leaver's heartbeats do not take
// them back, and it can go.
func TestClaim(t *testing.T) {
	inBench(t, func(b *bench) {
		old := b.member("old", func(c *Config) { c.TokensFile = "" })
		had := b.expect("old", ring.Active, 8)
		next := b.start("next", fresh)
		joined := make(chan error, 1)
		go func() { joined <- next.Join(b.Context()) }()
		b.expect("next", ring.Pending, 0)
		if id, addr, err := old.Pending(b.Context()); id != "next" || addr != "next:9095" || err != nil {
			t.Errorf("pending: %s %s %v", id, addr, err)
		}
		if next.IsLeaving(b.Context(), "old") == nil || old.Receiving(b.Context()) == nil {
			t.Error("an ACTIVE instance gives or takes tokens")
		}
		if err := old.Leave(b.Context()); err != nil {
			t.Fatal(err)
		}
		if err := next.Receiving(b.Context()); err != nil || next.IsLeaving(b.Context(), "old") != nil {
			t.Fatal(err)
		}
		b.expect("next", ring.Joining, 0)
		time.Sleep(2 * time.Minute) // far beyond join-after
		b.expect("next", ring.Joining, 0)
		if next.Accepting() == nil {
			t.Error("takes pushes while it receives")
		}
		if err := next.Claim(b.Context(), "old"); err != nil {
			t.Fatal(err)
		}
		if in := b.expect("next", ring.Active, 8); !slices.Equal(in.Tokens, had.Tokens) {
			t.Errorf("claimed %v of %v", in.Tokens, had.Tokens)
		}
		time.Sleep(time.Minute)
		if err := <-joined; err != nil || next.Ready() != nil || next.Accepting() != nil {
			t.Errorf("joined: %v, ready %v", err, next.Ready())
		}
		b.expect("old", ring.Leaving, 0)
		if err := old.Unregister(b.Context()); err != nil {
			t.Error(err)
		}
		b.expect("next", ring.Active, 8)
		old.Stop()
		next.Stop()
	})
}

// A transfer that breaks leaves the receiver PENDING, and it makes its own tokens when join-after is over; a claim from who does
// not leave takes nothing.
func TestGiveUp(t *testing.T) {
	inBench(t, func(b *bench) {
		old := b.member("old")
		next := b.start("next", fresh)
		joined := make(chan error, 1)
		go func() { joined <- next.Join(b.Context()) }()
		synctest.Wait()
		if err := next.Receiving(b.Context()); err != nil {
			t.Fatal(err)
		}
		if next.Claim(b.Context(), "old") == nil || next.Claim(b.Context(), "nobody") == nil {
			t.Error("claimed from an ACTIVE instance, or from nobody")
		}
		b.expect("old", ring.Active, 8)
		if err := next.GiveUp(b.Context()); err != nil {
			t.Fatal(err)
		}
		b.expect("next", ring.Pending, 0)
		time.Sleep(2 * time.Minute)
		if err := <-joined; err != nil {
			t.Error(err)
		}
		b.expect("next", ring.Active, 8)
		if next.Receiving(b.Context()) == nil {
			t.Error("a member receives")
		}
		old.Stop()
		next.Stop()
	})
}

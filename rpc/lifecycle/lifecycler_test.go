package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/rpc/ring"
)

// The start, by what the ring and the file say: nothing lost, nothing invented, pushes only where documented (traps 9, 13).
func TestStart(t *testing.T) {
	old := func(s ring.State, tokens ...uint32) *ring.Instance {
		return &ring.Instance{Addr: "elsewhere:9095", State: s, Tokens: tokens, Timestamp: time.Now().Unix() - 100, Registered: 12345}
	}
	file := []uint32{10, 20, 30, 40, 50, 60, 70, 80}
	for name, c := range map[string]struct {
		entry *ring.Instance
		file  string
		// before Join
		state     ring.State
		listed    bool
		accepting bool
		// after
		tokens     []uint32 // nil: new ones
		registered int64
	}{
		"nothing":               {state: ring.Pending, listed: true},
		"file of Cortex 1.10":   {file: `{"tokens":[80,10,20,30,40,50,60,70]}`, state: ring.Pending, tokens: file},
		"joining":               {entry: old(ring.Joining, file...), state: ring.Pending, listed: true, tokens: file, registered: 12345},
		"leaving":               {entry: old(ring.Leaving, file...), state: ring.Pending, listed: true, tokens: file, registered: 12345},
		"leaving, claimed":      {entry: old(ring.Leaving), state: ring.Pending, listed: true, registered: 12345},
		"active":                {entry: old(ring.Active, file...), state: ring.Active, listed: true, accepting: true, tokens: file, registered: 12345},
		"active without tokens": {entry: old(ring.Active), file: `{"tokens":[10,20,30,40,50,60,70,80]}`, state: ring.Pending, listed: true, tokens: file, registered: 12345},
	} {
		t.Run(name, func(t *testing.T) {
			inBench(t, func(b *bench) {
				if c.entry != nil {
					b.store.edit(func(d *ring.Desc) { d.Instances["a"] = *c.entry })
				}
				if c.file != "" {
					if err := disk.WriteFileAtomic(b.fs, "/data/a.json", []byte(c.file)); err != nil {
						t.Fatal(err)
					}
				}
				l := b.start("a")
				in, listed := b.store.entry("a")
				if listed != c.listed || listed && in.State != c.state || l.State() != c.state || (l.Accepting() == nil) != c.accepting {
					t.Errorf("before Join: listed %v, %s in the ring, %s here, accepting %v", listed, in.State, l.State(), l.Accepting())
				}
				if listed && in.Addr != "a:9095" {
					t.Errorf("the address is not corrected at once: %s", in.Addr)
				}
				if l.Ready() == nil {
					t.Error("ready before Join")
				}
				if err := l.Join(b.Context()); err != nil {
					t.Fatal(err)
				}
				in = b.expect("a", ring.Active, 8)
				if c.tokens != nil && !slices.Equal(in.Tokens, c.tokens) {
					t.Errorf("tokens %v, want %v", in.Tokens, c.tokens)
				}
				if want := max(c.registered, 0); want != 0 && in.Registered != want || in.Registered == 0 {
					t.Errorf("registered %d, want %d", in.Registered, want)
				}
				if l.Accepting() != nil || l.Ready() != nil {
					t.Errorf("a member: accepting %v, ready %v", l.Accepting(), l.Ready())
				}
				l.Stop()
			})
		})
	}
}

// A clean restart and a kill, twice each: tokens and the time of registration stay, LEAVING refuses pushes while heartbeats
// go on, and every entry has a greater timestamp than the one before, also within one second (trap 12).
func TestRestart(t *testing.T) {
	inBench(t, func(b *bench) {
		first := b.member("a")
		born := b.expect("a", ring.Active, 8)
		first.Stop() // killed: the ring is not told
		last := born.Timestamp
		for range 2 {
			l := b.member("a")
			if in := b.expect("a", ring.Active, 8); !slices.Equal(in.Tokens, born.Tokens) || in.Registered != born.Registered || in.Timestamp < last {
				t.Fatalf("after a kill %+v, before %+v", in, born)
			}
			if err := l.Leave(b.Context()); err != nil {
				t.Fatal(err)
			}
			left := b.expect("a", ring.Leaving, 8)
			if left.Timestamp <= last || l.Accepting() == nil || l.Ready() == nil {
				t.Fatalf("leaving at %d after %d, accepting %v, ready %v", left.Timestamp, last, l.Accepting(), l.Ready())
			}
			l.Stop()

			// The ring's memory of the instance is lost with memberlist when all restart: the file has the timestamp.
			b.store.edit(func(d *ring.Desc) { delete(d.Instances, "a") })
			l = b.member("a")
			back := b.expect("a", ring.Active, 8)
			if back.Timestamp <= left.Timestamp || back.Registered != born.Registered || !slices.Equal(back.Tokens, born.Tokens) {
				t.Fatalf("after a clean restart %+v, before %+v", back, left)
			}
			last = back.Timestamp
			l.Stop()
		}
		if ahead := last - time.Now().Unix(); ahead > 60 {
			t.Errorf("timestamps are %d s ahead of the clock", ahead)
		}
	})
}

// READONLY is one state: it is on disk, survives restarts, keeps its name while it leaves, is said in Mimir's words if asked
// for, and going back to ACTIVE registers anew (traps 13, 14).
func TestReadOnly(t *testing.T) {
	inBench(t, func(b *bench) {
		l := b.member("a")
		born := b.expect("a", ring.Active, 8)
		time.Sleep(time.Hour)
		if err := l.SetMode(b.Context(), ring.ReadOnly); err != nil {
			t.Fatal(err)
		}
		in := b.expect("a", ring.ReadOnly, 8)
		if !in.ReadOnly || in.ReadOnlyUpdated != time.Now().Unix() || in.Registered != born.Registered || l.Accepting() != nil || l.Ready() != nil {
			t.Errorf("read-only: %+v, accepting %v, ready %v", in, l.Accepting(), l.Ready())
		}
		if err := l.Leave(b.Context()); err != nil || l.Accepting() == nil {
			t.Errorf("leave: %v, accepting %v", err, l.Accepting())
		}
		b.expect("a", ring.ReadOnly, 8)
		l.Stop()

		b.store.edit(func(d *ring.Desc) { delete(d.Instances, "a") })
		l = b.member("a", func(c *Config) { c.ReadOnlyFlag = true })
		if in = b.expect("a", ring.Active, 8); !in.ReadOnly || in.Registered != born.Registered {
			t.Errorf("in Mimir's words: %+v", in)
		}
		if mode, since := l.Mode(); mode != ring.ReadOnly || since.Unix() != in.ReadOnlyUpdated {
			t.Errorf("mode %s since %v", mode, since)
		}
		time.Sleep(time.Hour)
		if err := l.SetMode(b.Context(), ring.Active); err != nil {
			t.Fatal(err)
		}
		if in = b.expect("a", ring.Active, 8); in.ReadOnly || in.Registered != time.Now().Unix() || in.ReadOnlyUpdated != time.Now().Unix() {
			t.Errorf("writable again: %+v", in)
		}
		if l.SetMode(b.Context(), ring.Joining) == nil {
			t.Error("JOINING is a mode")
		}
		l.Stop()
		// Stock Cortex set it, and our file does not exist.
		b.store.edit(func(d *ring.Desc) {
			d.Instances["b"] = ring.Instance{State: ring.ReadOnly, Tokens: []uint32{1}, Timestamp: time.Now().Unix(), Registered: 7}
		})
		l = b.member("b")
		b.expect("b", ring.ReadOnly, 8)
		l.Stop()
	})
}

// The number of tokens follows the setting, up and down (trap 25); a tenth of them is renewed on request.
func TestTokens(t *testing.T) {
	inBench(t, func(b *bench) {
		b.member("a").Stop()
		had := b.expect("a", ring.Active, 8)
		l := b.member("a", func(c *Config) { c.NumTokens = 20 })
		grown := b.expect("a", ring.Active, 20)
		for _, tok := range had.Tokens {
			if !slices.Contains(grown.Tokens, tok) {
				t.Errorf("token %d was lost by growing", tok)
			}
		}
		if err := l.RenewTokens(b.Context(), 0.1); err != nil {
			t.Fatal(err)
		}
		same := 0
		for _, tok := range b.expect("a", ring.Active, 20).Tokens {
			if slices.Contains(grown.Tokens, tok) {
				same++
			}
		}
		if same != 18 {
			t.Errorf("%d of 20 tokens are the same after renewing a tenth", same)
		}
		l.Stop()
		b.member("a", func(c *Config) { c.NumTokens = 3 }).Stop()
		b.expect("a", ring.Active, 3)
		// A start without the file trusts the ring; a damaged file is an error and not a new instance.
		if err := disk.WriteFileAtomic(b.fs, "/data/a.json", []byte("{")); err != nil {
			t.Fatal(err)
		}
		l = New(Config{FS: b.fs, TokensFile: "/data/a.json"})
		if err := l.Start("a"); err == nil || !strings.Contains(err.Error(), "a.json") {
			t.Errorf("damaged file: %v", err)
		}
		if err := l.SetMode(b.Context(), ring.ReadOnly); !errors.Is(err, errStarting) {
			t.Errorf("a mode before the start: %v", err)
		}
		l.Stop()
	})
}

// Equal tokens on two instances: a newcomer gives way, during JOINING if it observes; of two members the one whose id
// sorts last; what is given up is replaced, and the file follows.
func TestTokenConflict(t *testing.T) {
	inBench(t, func(b *bench) {
		b.store.edit(func(d *ring.Desc) {
			d.Instances["z"] = ring.Instance{State: ring.Active, Tokens: []uint32{10, 20, 30}, Timestamp: time.Now().Unix()}
		})
		if err := disk.WriteFileAtomic(b.fs, "/data/a.json", []byte(`{"tokens":[10,20,30,40,50,60,70,80]}`)); err != nil {
			t.Fatal(err)
		}
		joined := make(chan error, 1)
		a := b.start("a", func(c *Config) { c.ObservePeriod = 10 * time.Second })
		go func() { joined <- a.Join(b.Context()) }()
		synctest.Wait()
		in := b.expect("a", ring.Joining, 8)
		if a.Accepting() == nil || slices.Contains(in.Tokens, 10) || !slices.Contains(in.Tokens, 40) {
			t.Errorf("joining with %v, accepting %v", in.Tokens, a.Accepting())
		}
		// Somebody who sorts first claims one more of them while it observes.
		b.store.edit(func(d *ring.Desc) {
			d.Instances["0"] = ring.Instance{State: ring.Active, Tokens: []uint32{40}, Timestamp: time.Now().Unix()}
		})
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if in = b.expect("a", ring.Joining, 8); slices.Contains(in.Tokens, 40) {
			t.Errorf("after a conflict it does not observe again, or keeps the token: %v", in.Tokens)
		}
		if err := <-joined; err != nil {
			t.Fatal(err)
		}
		in = b.expect("a", ring.Active, 8)

		// Forced on two members.
		b.store.edit(func(d *ring.Desc) {
			for _, id := range []string{"0", "z"} {
				x := d.Instances[id]
				x.Tokens = in.Tokens[:2]
				if id == "0" {
					x.Tokens = in.Tokens[2:4]
				}
				d.Instances[id] = x
			}
		})
		time.Sleep(6 * time.Second)
		now := b.expect("a", ring.Active, 8)
		if !slices.Contains(now.Tokens, in.Tokens[0]) || slices.Contains(now.Tokens, in.Tokens[2]) {
			t.Errorf("had %v, has %v", in.Tokens, now.Tokens)
		}
		a.Stop()
		m, err := readMemory(b.fs, "/data/a.json")
		if err != nil || !slices.Equal(m.Tokens, now.Tokens) {
			t.Errorf("the file has %v, the ring %v, %v", m.Tokens, now.Tokens, err)
		}
	})
}

// The store goes away for ten minutes: nothing changes here, heartbeats and what changed meanwhile arrive when it is back, and
// an instance that starts then takes up its work if it was a member before.
func TestStoreAway(t *testing.T) {
	for name, deaf := range map[string]time.Duration{"like etcd": 0, "like Consul": 10 * time.Second} {
		t.Run(name, func(t *testing.T) { storeAway(t, deaf) })
	}
}

func storeAway(t *testing.T, deaf time.Duration) {
	inBench(t, func(b *bench) {
		b.store.deaf = deaf
		l := b.member("a")
		had := b.expect("a", ring.Active, 8)
		b.store.setAway(true)
		time.Sleep(10 * time.Minute)
		if l.Accepting() != nil || l.Ready() != nil {
			t.Errorf("while the store is away: accepting %v, ready %v", l.Accepting(), l.Ready())
		}
		begun := time.Now()
		if err := l.Leave(b.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 2*storeTimeout {
			t.Errorf("leave: %v after %v", err, time.Since(begun))
		}
		l.Stop()

		begun = time.Now()
		l = b.member("a")
		if l.Accepting() != nil || l.Ready() != nil || time.Since(begun) > 2*joinPatience {
			t.Errorf("started while the store is away: accepting %v, ready %v after %v", l.Accepting(), l.Ready(), time.Since(begun))
		}
		stranger := b.start("b")
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		if err := stranger.Join(ctx); !errors.Is(err, context.DeadlineExceeded) || stranger.Accepting() == nil || !strings.Contains(stranger.Ready().Error(), "cannot be reached") {
			t.Errorf("a stranger: %v, accepting %v, ready %v", err, stranger.Accepting(), stranger.Ready())
		}
		b.store.setAway(false)
		time.Sleep(10 * time.Second)
		in := b.expect("a", ring.Active, 8)
		if !slices.Equal(in.Tokens, had.Tokens) || in.Registered != had.Registered || time.Now().Unix()-in.Timestamp > 6 {
			t.Errorf("after ten minutes %+v, before %+v", in, had)
		}
		// The store comes back empty.
		b.store.edit(func(d *ring.Desc) { clear(d.Instances) })
		time.Sleep(6 * time.Second)
		if in = b.expect("a", ring.Active, 8); !slices.Equal(in.Tokens, had.Tokens) || in.Registered != had.Registered {
			t.Errorf("after the store was emptied %+v, before %+v", in, had)
		}
		l.Stop()
		stranger.Stop()
	})
}

// Heartbeats come at their period, none when it is 0, also while a state change waits; leaving and unregistering work in any
// order, and what unregistered comes back as a new member with its tokens.
func TestHeartbeatsAndUnregister(t *testing.T) {
	inBench(t, func(b *bench) {
		quiet := b.member("q", func(c *Config) { c.HeartbeatPeriod = 0 })
		l := b.member("a")
		beats := l.Numbers().Heartbeats
		time.Sleep(50 * time.Second)
		if n := l.Numbers().Heartbeats - beats; n < 9 || n > 11 {
			t.Errorf("%d heartbeats in 50 s", n)
		}
		writes := quiet.Numbers().Heartbeats
		time.Sleep(time.Minute)
		if quiet.Numbers().Heartbeats != writes {
			t.Error("heartbeats although they are off")
		}
		had := b.expect("a", ring.Active, 8)
		if err := l.PrepareShutdown(true); err != nil {
			t.Error(err)
		}
		l.Stop() // killed
		l = b.member("a")
		if set, err := l.ShutdownPrepared(); err != nil || !set {
			t.Errorf("the prepared shutdown is forgotten: %v %v", set, err)
		}
		if err := errors.Join(l.Leave(b.Context()), l.Unregister(b.Context()), l.Leave(b.Context())); err != nil {
			t.Error(err)
		}
		if _, there := b.store.entry("a"); there {
			t.Error("still in the ring")
		}
		if set, err := l.ShutdownPrepared(); err != nil || set {
			t.Errorf("prepared for another shutdown: %v %v", set, err)
		}
		time.Sleep(time.Minute)
		if _, there := b.store.entry("a"); there {
			t.Error("a heartbeat brought it back")
		}
		if err := l.SetMode(b.Context(), ring.ReadOnly); !errors.Is(err, errGone) {
			t.Errorf("mode of what left: %v", err)
		}
		l.Stop()
		l = b.member("a")
		if in := b.expect("a", ring.Active, 8); !slices.Equal(in.Tokens, had.Tokens) || in.Registered <= had.Registered {
			t.Errorf("after unregistering %+v, before %+v", in, had)
		}
		if err := l.Forget(b.Context(), "q"); err != nil {
			t.Error(err)
		}
		if d, err := l.Look(b.Context()); err != nil || len(d.Instances) != 1 {
			t.Errorf("after forgetting: %v %v", d, err)
		}
		l.Stop()
		quiet.Stop()
	})
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/grafana/dskit/kv"

	"github.com/rekindledb/rekindle/rpc/ring"
)

// cluster is two ingesters in a ring, and a look at it from outside.
type cluster struct {
	*testing.T
	a, b *process
	kv   kv.Client
}

// beats are short, so that what waits for heartbeats is soon over. Timestamps are whole seconds, which 2 s have to hide.
var beats = []string{"-ingester.heartbeat-period=100ms", "-ring.heartbeat-timeout=2s"}

func newCluster(t *testing.T, store ...string) *cluster {
	t.Helper()
	args := append(slices.Clone(beats), store...)
	return &cluster{T: t, kv: client(t, store...), a: newProcess(t, "a", args...), b: newProcess(t, "b", args...)}
}

// client looks into the store of a ring.
func client(t *testing.T, store ...string) kv.Client {
	t.Helper()
	o, err := load(store)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kv.NewClient(o.Ingester.Lifecycler.Ring.KVStore, ring.Codec{}, nil, log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) entry(id string) ring.Instance {
	c.Helper()
	v, err := c.kv.Get(context.Background(), ring.Key)
	if err != nil {
		c.Fatal(err)
	}
	return ring.Of(v).Instances[id]
}

func (c *cluster) edit(f func(*ring.Desc)) {
	c.Helper()
	err := c.kv.CAS(context.Background(), ring.Key, func(in any) (any, bool, error) {
		d := ring.Of(in)
		f(d)
		return d, true, nil
	})
	if err != nil {
		c.Fatal(err)
	}
}

// bothSee waits until both show a and b in these states.
func (c *cluster) bothSee(a, b string) {
	c.Helper()
	for _, p := range []*process{c.a, c.b} {
		p.sees("a", a)
		p.sees("b", b)
	}
}

func (c *cluster) mustPush(p *process, at time.Time) {
	c.Helper()
	if code, text := p.push(c.T, "", "up", at, 1); code != http.StatusOK {
		c.Errorf("push: %d %s", code, text)
	}
}

// life is what a ring goes through in a store that away makes unreachable: kills, an outage under pushes and reads, a process that sleeps past its
// heartbeat, and equal tokens forced on two.
func (c *cluster) life(away func(bool), outage time.Duration) {
	c.bothSee("ACTIVE", "ACTIVE")
	first := c.entry("a")
	if len(first.Tokens) != 128 || first.Registered == 0 {
		c.Fatalf("%d tokens, registered %d", len(first.Tokens), first.Registered)
	}
	now := time.Now().Truncate(time.Second)
	c.mustPush(c.a, now)

	for range 3 {
		c.a.restart()
		if e := c.entry("a"); e.State != ring.Active || !slices.Equal(e.Tokens, first.Tokens) || e.Registered != first.Registered {
			c.Fatalf("after a kill: %s, registered %d, tokens kept: %v", e.State, e.Registered, slices.Equal(e.Tokens, first.Tokens))
		}
	}
	c.a.expect(c.T, "up", now, `"1"]`)

	away(true)
	sent := 0
	for until := time.Now().Add(outage); time.Now().Before(until); time.Sleep(min(time.Second, outage/10)) {
		sent++
		for _, p := range []*process{c.a, c.b} {
			if code, text := p.push(c.T, "", "meanwhile", now.Add(time.Duration(sent)*time.Millisecond), 1); code != http.StatusOK {
				c.Fatalf("push %d while the store is away: %d %s", sent, code, text)
			}
			p.expect(c.T, "count_over_time(meanwhile[1m])", now.Add(10*time.Second), fmt.Sprintf(`"%d"]`, sent))
		}
	}
	c.mustPush(c.a, now.Add(time.Second))
	c.a.restart() // a member before, and still one to those who remember the ring
	c.mustPush(c.a, now.Add(2*time.Second))
	c.a.expect(c.T, "count_over_time(up[1m])", now.Add(2*time.Second), `"3"]`)
	away(false)
	// Who has found the store gone for long looks for it again less and less often: etcd's client, which is Cortex's too, after
	// up to 2 minutes and 24 s.
	back := time.Now()
	for _, p := range []*process{c.a, c.b} {
		for _, id := range []string{"a", "b"} {
			p.seesWithin(patience+min(outage, 145*time.Second), id, "ACTIVE")
		}
	}
	c.Logf("the store was away for %v; all heartbeats are there again %v after it came back", outage, time.Since(back).Round(time.Millisecond))
	if e := c.entry("a"); !slices.Equal(e.Tokens, first.Tokens) || e.Registered != first.Registered {
		c.Errorf("after the outage: registered %d, want %d; tokens kept: %v", e.Registered, first.Registered, slices.Equal(e.Tokens, first.Tokens))
	}

	c.a.signal(syscall.SIGSTOP)
	c.b.sees("a", "Unhealthy")
	eventually(c.T, patience, "the metric of unhealthy members", func() (bool, string) {
		_, text := c.b.get(c.T, "metrics")
		return strings.Contains(text, `cortex_ring_members{name="ingester",state="Unhealthy",zone=""} 1`), ""
	})
	c.a.signal(syscall.SIGCONT)
	c.bothSee("ACTIVE", "ACTIVE")

	// b gets a's file, as when a volume is cloned, and has never been in the ring.
	c.b.kill()
	had, err := os.ReadFile(filepath.Join(c.a.dir, "tokens.json"))
	if err != nil {
		c.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.b.dir, "tokens.json"), had, 0o644); err != nil {
		c.Fatal(err)
	}
	c.edit(func(d *ring.Desc) { delete(d.Instances, "b") })
	c.b.start()
	eventually(c.T, patience, "different tokens", func() (bool, string) {
		a, b := c.entry("a").Tokens, c.entry("b").Tokens
		for _, t := range a {
			if slices.Contains(b, t) {
				return false, "some are equal"
			}
		}
		return len(a) == 128 && len(b) == 128, ""
	})

	c.a.signal(syscall.SIGTERM)
	c.b.sees("a", "LEAVING")
	if err := c.a.cmd.Wait(); err != nil {
		c.Error(err)
	}
	c.a.start()
	c.bothSee("ACTIVE", "ACTIVE")
	if e := c.entry("a"); !slices.Equal(e.Tokens, first.Tokens) || e.Registered != first.Registered {
		c.Errorf("after a clean restart: registered %d, want %d; tokens kept: %v", e.Registered, first.Registered, slices.Equal(e.Tokens, first.Tokens))
	}
}

// The life of a ring in what it takes for Consul. make ring-consul has a real one.
func TestRingInConsul(t *testing.T) {
	t.Parallel()
	consul := newFakeConsul(t)
	newCluster(t, "-ring.store=consul", "-consul.hostname="+consul.Listener.Addr().String(), "-consul.cas-retry-delay=50ms").life(consul.away, time.Second)
}

// While a long recovery goes on, the instance is in the ring, its heartbeats arrive, and it is not ACTIVE before the end (trap 9).
func TestHeartbeatsDuringRecovery(t *testing.T) {
	t.Parallel()
	consul := newFakeConsul(t)
	db := &slowDB{recovered: make(chan struct{})}
	i := startInstance(t, db, append(slices.Clone(beats), "-ring.store=consul", "-consul.hostname="+consul.Listener.Addr().String(), "-ingester.wal-dir="+t.TempDir())...)
	eventually(t, patience, "three heartbeats", func() (bool, string) {
		_, text := i.get(t, "metrics")
		_, rest, _ := strings.Cut(text, "\ncortex_member_consul_heartbeats_total{name=\"ingester\"} ")
		n, _, _ := strings.Cut(rest, "\n")
		return n >= "3", n
	})
	if _, page := i.get(t, "ring"); !strings.Contains(page, "PENDING") {
		t.Errorf("not PENDING: %.300s", page)
	}
	close(db.recovered)
	eventually(t, patience, "ACTIVE", func() (bool, string) { _, page := i.get(t, "ring"); return strings.Contains(page, "ACTIVE"), page })
	i.signal()
	if err := i.wait(t); err != nil {
		t.Error(err)
	}
}

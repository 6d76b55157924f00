package main

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shard is an instance as the ring's page has it.
type shard struct {
	ID, State  string
	Registered string `json:"registered_timestamp"`
	Tokens     []uint32
}

func (p *process) shard(id string) shard {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodGet, p.url+"ring", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var page struct{ Shards []shard }
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		p.t.Fatal(err)
	}
	for _, s := range page.Shards {
		if s.ID == id {
			return s
		}
	}
	return shard{}
}

// Two ingesters that gossip: each sees the other; a killed one comes back with its tokens; a clean restart within a second is
// seen as what it is, LEAVING and then ACTIVE, although gossip is by the second (trap 12).
func TestRingByGossip(t *testing.T) {
	t.Parallel()
	portA, portB := freePort(t), freePort(t)
	args := gossiping(portA, portB)
	c := &cluster{T: t, a: newProcess(t, "a", args(portA)...)}
	c.b = newProcess(t, "b", args(portB)...)
	c.bothSee("ACTIVE", "ACTIVE")
	first := c.b.shard("a")
	if _, page := c.a.get(t, "memberlist"); !strings.Contains(page, portB) {
		t.Errorf("/memberlist does not name the other: %.300s", page)
	}
	same := func(when string) {
		t.Helper()
		if now := c.b.shard("a"); now.Registered != first.Registered || !slices.Equal(now.Tokens, first.Tokens) {
			t.Errorf("%s: registered %s, before %s; tokens kept: %v", when, now.Registered, first.Registered, slices.Equal(now.Tokens, first.Tokens))
		}
	}
	c.a.restart()
	c.bothSee("ACTIVE", "ACTIVE")
	same("after a kill")

	c.a.signal(syscall.SIGTERM)
	c.b.sees("a", "LEAVING")
	if err := c.a.cmd.Wait(); err != nil {
		t.Error(err)
	}
	c.a.start()
	begun := time.Now()
	c.b.sees("a", "ACTIVE")
	t.Logf("seen ACTIVE %v after it was ready", time.Since(begun))
	same("after a clean restart")

	c.mustPush(c.b, time.Now())
	if code, text := c.a.post(t, "shutdown"); code != http.StatusNoContent {
		t.Errorf("shutdown: %d %s", code, text)
	}
	eventually(t, patience, "a is out of the ring", func() (bool, string) { s := c.b.shard("a"); return s.ID == "", s.State })
}

// gossiping returns the flags of an ingester that is behind its own of these ports and joins the others.
func gossiping(ports ...string) func(own string, more ...string) []string {
	args := append(slices.Clone(beats), "-ring.store=memberlist", "-memberlist.bind-addr=127.0.0.1", "-memberlist.min-join-backoff=50ms",
		"-memberlist.gossip-interval=50ms", "-memberlist.broadcast-timeout-for-local-updates-on-shutdown=1s")
	for _, port := range ports {
		args = append(args, "-memberlist.join=127.0.0.1:"+port)
	}
	return func(own string, more ...string) []string {
		return append(append(slices.Clone(args), "-memberlist.bind-port="+own), more...)
	}
}

// A stop answers queries as long as gossip says good-bye, which can take seconds: others have not heard of it before. Here nothing
// that is to be gossiped gets out, and it takes as long as it may.
func TestQueriesUntilGossipEnds(t *testing.T) {
	t.Parallel()
	portA, portB := freePort(t), freePort(t)
	args := gossiping(portA, portB)
	newProcess(t, "a", args(portA)...)
	p := newProcess(t, "b", args(portB, "-memberlist.gossip-interval=1h", "-memberlist.broadcast-timeout-for-local-updates-on-shutdown=3s")...)
	ask := func(path string) (code int, text string) {
		resp, err := http.Get(p.url + path)
		if err != nil {
			return 0, "" // gone
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	p.signal(syscall.SIGTERM)
	const goodBye = "memberlist => Stopping"
	asked := 0
	for {
		_, before := ask("services")
		code, text := ask("prometheus/api/v1/query?query=1")
		_, after := ask("services")
		if after == "" {
			break
		}
		if strings.Contains(before, goodBye) && strings.Contains(after, goodBye) {
			asked++
			if code != http.StatusOK {
				t.Fatalf("query %d while gossip says good-bye: %d %s", asked, code, text)
			}
		}
	}
	if asked == 0 {
		t.Error("nothing was asked while gossip said good-bye")
	}
	if err := p.cmd.Wait(); err != nil {
		t.Error(err)
	}
	p.cmd = nil
}

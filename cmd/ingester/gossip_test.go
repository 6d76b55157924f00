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
	args := func(own string) []string {
		return append(slices.Clone(beats), "-ring.store=memberlist", "-memberlist.bind-addr=127.0.0.1", "-memberlist.bind-port="+own,
			"-memberlist.join=127.0.0.1:"+portA, "-memberlist.join=127.0.0.1:"+portB, "-memberlist.min-join-backoff=50ms",
			"-memberlist.broadcast-timeout-for-local-updates-on-shutdown=1s")
	}
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
	c.answersUntilGossipEnds(c.a)
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
	eventually(t, 10*time.Second, "a is out of the ring", func() (bool, string) { s := c.b.shard("a"); return s.ID == "", s.State })
}

// answersUntilGossipEnds asks a process that stops until it is gone. Queries are answered as long as gossip says good-bye, which
// takes a second: others have not heard of it before.
func (c *cluster) answersUntilGossipEnds(p *process) {
	c.Helper()
	ask := func(path string) (code int, text string) {
		resp, err := http.Get(p.url + path)
		if err != nil {
			return 0, "" // gone
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
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
				c.Fatalf("query %d while gossip says good-bye: %d %s", asked, code, text)
			}
		}
	}
	if asked == 0 {
		c.Error("nothing was asked while gossip said good-bye")
	}
}

package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func memoryOnly(consul *fakeConsul, more ...string) []string {
	return append(append(slices.Clone(beats), "-ring.store=consul", "-consul.hostname="+consul.Listener.Addr().String(), "-consul.cas-retry-delay=50ms",
		"-ingester.wal-enabled=false"), more...)
}

// handOverSeries is how many series a hand-over has in these tests: enough for something to happen in the middle.
const handOverSeries = 200_000

// The documents' roll-out without a log: the one that leaves finds a PENDING one and gives it all that it acknowledged, its
// tokens and its place, under load; then it ends well, out of the ring. Both count the same chunks.
func TestHandOver(t *testing.T) {
	t.Parallel()
	consul := newFakeConsul(t)
	a := newProcess(t, "a", memoryOnly(consul, "-ingester.final-sleep=5s")...) // in which its metrics are read
	tokens := a.shard("a").Tokens
	now := time.Now().Truncate(time.Second)
	for tenant := range 3 {
		for k := range 50 {
			if code, text := a.push(t, fmt.Sprint("t", tenant), fmt.Sprint("m", k), now.Add(time.Duration(k-50)*time.Second), float64(k)); code != http.StatusOK {
				t.Fatalf("push: %d %s", code, text)
			}
		}
	}
	b := prepareProcess(t, "b", memoryOnly(consul, "-ingester.join-after=1m")...)
	ready := b.begin()
	a.sees("b", "PENDING")

	load := startFlow(t, handOverSeries, &a.instance, &b.instance)
	load.await(2)
	a.signal(syscall.SIGTERM)
	b.sees("a", "LEAVING")
	ready()
	var sent string
	eventually(t, patience, "the leaver counts what it sent", func() (bool, string) {
		sent = a.metric(t, "cortex_ingester_sent_chunks")
		return sent != "0", sent
	})
	if got := b.metric(t, "cortex_ingester_received_chunks"); got != sent {
		t.Errorf("%s chunks were received, %s sent", got, sent)
	}
	if err := a.cmd.Wait(); err != nil {
		t.Errorf("the leaver: %v", err)
	}
	a.cmd = nil
	load.await(1) // goes on with the receiver
	load.end()
	load.isAt(b)
	for tenant := range 3 {
		if n := b.count(t, fmt.Sprint("t", tenant), now); n != "50" {
			t.Errorf("tenant t%d has %s series", tenant, n)
		}
	}
	if got := b.shard("b"); got.State != "ACTIVE" || !slices.Equal(got.Tokens, tokens) {
		t.Errorf("the receiver is %s, has the tokens: %v", got.State, slices.Equal(got.Tokens, tokens))
	}
	if got := b.shard("a"); got.ID != "" {
		t.Errorf("the leaver is still in the ring, %s", got.State)
	}
}

// metric is the value of a metric without labels.
func (i *instance) metric(t *testing.T, name string) string {
	t.Helper()
	_, text := i.get(t, "metrics")
	_, rest, _ := strings.Cut(text, "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

func (i *instance) count(t *testing.T, tenant string, at time.Time) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf(`%sprometheus/api/v1/query?query=count({__name__%%3D~"m.*"})&time=%d`, i.url, at.Unix()), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Scope-OrgID", tenant)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	_ = resp.Write(&b)
	_, rest, _ := strings.Cut(b.String(), `,"`)
	n, _, _ := strings.Cut(rest, `"]`)
	if at := strings.LastIndex(n, `"`); at >= 0 {
		n = n[at+1:]
	}
	return n
}

// Nobody takes the data: after the retries it is written to the directory, the process fails, and the next start has it.
func TestHandOverToNobody(t *testing.T) {
	t.Parallel()
	consul := newFakeConsul(t)
	a := newProcess(t, "a", memoryOnly(consul, "-ingester.max-transfer-retries=2")...)
	now := time.Now().Truncate(time.Second)
	for _, tenant := range []string{"", "other"} {
		if code, text := a.push(t, tenant, "m", now, 7); code != http.StatusOK {
			t.Fatalf("push: %d %s", code, text)
		}
	}
	a.signal(syscall.SIGTERM)
	if err := a.cmd.Wait(); err == nil || a.cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("the leaver: %v", err)
	}
	a.start()
	a.expect(t, "m", now, `"7"]`)
	if n := a.count(t, "other", now); n != "1" {
		t.Errorf("the other tenant has %s series", n)
	}

	// The same by request, however often it is made.
	for range 2 {
		if code, text := a.post(t, "shutdown"); code != http.StatusNoContent {
			t.Errorf("shutdown: %d %s", code, text)
		}
	}
	a.restart()
	a.expect(t, "m", now, `"7"]`)
	a.kill()
}

// A receiver is killed in the middle of a hand-over under load: the leaver tries again with the next one that waits, and everything
// arrives there. If there is none it writes everything to its directory and fails, and its next start has it.
func TestHandOverBroken(t *testing.T) {
	t.Parallel()
	for _, another := range []bool{true, false} {
		t.Run(fmt.Sprint("another=", another), func(t *testing.T) {
			t.Parallel()
			handOverBroken(t, another)
		})
	}
}

func handOverBroken(t *testing.T, another bool) {
	consul := newFakeConsul(t)
	a := newProcess(t, "a", memoryOnly(consul, "-ingester.max-transfer-retries=3")...)
	waiting := memoryOnly(consul, "-ingester.join-after=1m")
	b := prepareProcess(t, "b", waiting...)
	_ = b.begin()
	a.sees("b", "PENDING")
	taker := a
	ready := func() {}
	if another {
		taker = prepareProcess(t, "c", waiting...)
		ready = taker.begin()
		a.sees("c", "PENDING")
	}
	load := startFlow(t, handOverSeries, &a.instance, nil)
	load.await(2)
	a.signal(syscall.SIGTERM)
	eventually(t, patience, "b receives", func() (bool, string) { s := a.shard("b"); return s.State == "JOINING", s.State })
	b.kill()
	ready()
	err := a.cmd.Wait()
	if another && err != nil || !another && a.cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("the leaver: %v", err)
	}
	a.cmd = nil
	load.end()
	if !another {
		a.start()
	}
	load.isAt(taker)
	if got := taker.shard(taker.id); got.State != "ACTIVE" || len(got.Tokens) != 128 {
		t.Errorf("%s is %s with %d tokens", taker.id, got.State, len(got.Tokens))
	}
}

package main

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/prompb"
)

func memoryOnly(consul *fakeConsul, more ...string) []string {
	return append(append(slices.Clone(beats), "-ring.store=consul", "-consul.hostname="+consul.Listener.Addr().String(), "-consul.cas-retry-delay=50ms",
		"-ingester.wal-enabled=false"), more...)
}

// The documents' roll-out without a log: the one that leaves finds a PENDING one and gives it all that it acknowledged, its
// tokens and its place, under load; then it ends well, out of the ring.
func TestHandOver(t *testing.T) {
	t.Parallel()
	consul := newFakeConsul(t)
	a := newProcess(t, "a", memoryOnly(consul)...)
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

	// A sender goes on until it is refused.
	acked := 0
	var sending sync.WaitGroup
	sending.Go(func() {
		for code := http.StatusOK; code == http.StatusOK; {
			if code, _ = a.push(t, "", "load", now.Add(time.Duration(acked)*time.Millisecond), 1); code == http.StatusOK {
				acked++
			}
		}
	})
	time.Sleep(100 * time.Millisecond)
	a.signal(syscall.SIGTERM)
	sending.Wait()
	ready()
	if err := a.cmd.Wait(); err != nil {
		t.Errorf("the leaver: %v", err)
	}
	a.cmd = nil

	b.expect(t, "count_over_time(load[10m])", now.Add(5*time.Minute), fmt.Sprintf(`"%d"]`, acked))
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
	if _, text := b.get(t, "metrics"); strings.Contains(text, "cortex_ingester_received_chunks 0") || !strings.Contains(text, "cortex_ingester_received_chunks ") {
		t.Error("no chunks were received")
	}
	if acked == 0 {
		t.Error("nothing was acknowledged under load")
	}
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

// A receiver is killed in the middle of a hand-over: the leaver tries again with the next one that waits, and everything
// arrives there.
func TestHandOverBroken(t *testing.T) {
	t.Parallel()
	const series = 60_000
	consul := newFakeConsul(t)
	a := newProcess(t, "a", memoryOnly(consul)...)
	now := time.Now().Truncate(time.Second)
	for from := 0; from < series; from += 10_000 {
		if code := a.pushMany(t, from, 10_000, now); code != http.StatusOK {
			t.Fatalf("push: %d", code)
		}
	}
	waiting := memoryOnly(consul, "-ingester.join-after=1m")
	b := prepareProcess(t, "b", waiting...)
	_ = b.begin()
	a.sees("b", "PENDING")
	c := prepareProcess(t, "c", waiting...)
	ready := c.begin()
	a.sees("c", "PENDING")

	a.signal(syscall.SIGTERM)
	eventually(t, 10*time.Second, "b receives", func() (bool, string) { s := c.shard("b"); return s.State == "JOINING", s.State })
	b.kill()
	ready()
	if err := a.cmd.Wait(); err != nil {
		t.Errorf("the leaver: %v", err)
	}
	a.cmd = nil
	c.expect(t, `count({__name__=~"m.*"})`, now, fmt.Sprintf(`"%d"]`, series))
	if got := c.shard("c"); got.State != "ACTIVE" || len(got.Tokens) != 128 {
		t.Errorf("the second receiver is %s with %d tokens", got.State, len(got.Tokens))
	}
}

// pushMany sends a sample of each of n series.
func (i *instance) pushMany(t *testing.T, from, n int, at time.Time) int {
	t.Helper()
	var w prompb.WriteRequest
	for k := from; k < from+n; k++ {
		w.Timeseries = append(w.Timeseries, prompb.TimeSeries{
			Labels:  []prompb.Label{{Name: "__name__", Value: fmt.Sprint("m", k)}},
			Samples: []prompb.Sample{{Timestamp: at.UnixMilli(), Value: float64(k)}},
		})
	}
	b, err := w.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(i.url+"api/v1/push", "", bytes.NewReader(s2.EncodeSnappy(nil, b)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

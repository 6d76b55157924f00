package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rekindledb/rekindle/rpc/httpsrv"
)

func (i *instance) post(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Post(i.url+path, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	_ = resp.Write(&b)
	return resp.StatusCode, b.String()
}

// The way out, step by step: READONLY takes no new tenant and outlives a restart; after /shutdown pushes are refused and queries
// answered; a restart is a member again with its tokens, a prepared shutdown is forgotten once it happened.
func TestWayOut(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().Truncate(time.Second)
	i := startReal(t, dir)
	if code, text := i.push(t, "", "up", now, 1); code != http.StatusOK {
		t.Fatalf("push: %d %s", code, text)
	}
	if code, text := i.post(t, "ingester/mode?mode=READONLY"); code != http.StatusOK {
		t.Fatalf("mode: %d %s", code, text)
	}
	i.stop(t)

	i = startReal(t, dir)
	if _, text := i.get(t, "metrics"); !strings.Contains(text, `cortex_ring_members{name="ingester",state="READONLY",zone=""} 1`) || !strings.Contains(text, `cortex_member_ring_tokens_owned{name="ingester"} 128`) {
		t.Error("not READONLY after a restart")
	}
	if code, text := i.push(t, "", "up", now.Add(time.Second), 2); code != http.StatusOK {
		t.Errorf("push of a known tenant: %d %s", code, text)
	}
	if code, text := i.push(t, "new", "up", now, 2); code != http.StatusServiceUnavailable || !strings.Contains(text, "current state: READONLY") {
		t.Errorf("push of a new tenant: %d %s", code, text)
	}
	if code, text := i.get(t, "ingester/mode?mode=active"); code != http.StatusOK {
		t.Fatalf("mode: %d %s", code, text)
	}
	if code, text := i.push(t, "new", "up", now, 2); code != http.StatusOK {
		t.Errorf("push when ACTIVE again: %d %s", code, text)
	}
	if code, text := i.push(t, "new", "quiet", now.Add(-2*activeFor), 2); code != http.StatusOK {
		t.Errorf("push of an old sample: %d %s", code, text)
	}
	if _, text := i.get(t, "ingester/all_user_stats"); !strings.Contains(text, "<td>new") {
		t.Errorf("tenants: %s", text)
	}
	req, err := http.NewRequest(http.MethodGet, i.url+"ingester/all_user_stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var stats []httpsrv.TenantStats
	if err := json.NewDecoder(resp.Body).Decode(&stats); err != nil {
		t.Fatal(err)
	}
	if at := slices.IndexFunc(stats, func(s httpsrv.TenantStats) bool { return s.Tenant == "new" }); at < 0 || stats[at].NumSeries != 2 || stats[at].ActiveSeries != 1 {
		t.Errorf("tenants: %+v", stats)
	}
	if code, text := i.post(t, "flush?wait=true"); code != http.StatusNoContent || !strings.Contains(text, "no long-term storage yet") {
		t.Errorf("flush: %d %s", code, text)
	}
	if code, _ := i.post(t, "ingester/prepare-shutdown"); code != http.StatusNoContent {
		t.Errorf("prepare: %d", code)
	}
	if _, err := os.Stat(filepath.Join(dir, "shutdown-requested.txt")); err != nil {
		t.Error(err)
	}
	if code, text := i.post(t, "shutdown"); code != http.StatusNoContent {
		t.Fatalf("shutdown: %d %s", code, text)
	}
	if code, text := i.push(t, "", "up", now.Add(2*time.Second), 3); code != http.StatusServiceUnavailable || !strings.Contains(text, "LEAVING") {
		t.Errorf("push after shutdown: %d %s", code, text)
	}
	i.expect(t, "up", now.Add(time.Second), `"2"]`)
	if code, text := i.get(t, "ready"); code != http.StatusServiceUnavailable || !strings.Contains(text, "LEAVING") {
		t.Errorf("ready after shutdown: %d %s", code, text)
	}
	if _, text := i.get(t, "ring"); strings.Contains(text, "Forget") {
		t.Error("still in the ring")
	}
	i.stop(t)

	had := tokens(t, dir)
	i = startReal(t, dir)
	i.expect(t, "up", now.Add(time.Second), `"2"]`)
	if _, text := i.get(t, "ingester/prepare-shutdown"); text != "unset\n" {
		t.Errorf("prepared: %s", text)
	}
	i.stop(t)
	if now := tokens(t, dir); len(now) != 128 || now[0] != had[0] || now[127] != had[127] {
		t.Error("other tokens")
	}
}

func tokens(t *testing.T, dir string) []uint32 {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "tokens.json"))
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Tokens []uint32 }
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f.Tokens
}

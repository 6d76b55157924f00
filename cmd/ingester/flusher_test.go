package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rekindledb/rekindle/rpc/ring"
)

// The flusher makes a left-over volume safe and ends; the volume is usable afterwards. It stays off one in use, here or elsewhere.
func TestFlusher(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().Truncate(time.Second)
	i := startReal(t, dir)
	if code, text := i.push(t, "", "up", now, 1); code != http.StatusOK {
		t.Fatalf("push: %d %s", code, text)
	}
	flush := func(flags ...string) error {
		o, err := load(append([]string{"-target=flusher"}, flags...))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return runFlusher(ctx, o, quiet(), newStore(o, quiet()))
	}
	if err := flush("-flusher.wal-dir=" + dir); err == nil {
		t.Error("flushed the volume of an ingester that lives")
	}
	i.stop(t)
	if err := flush("-flusher.wal-dir=" + dir); err != nil {
		t.Error(err)
	}
	i = startReal(t, dir)
	i.expect(t, "up", now, `"1"]`)
	i.stop(t)

	consul := newFakeConsul(t)
	store := []string{"-ring.store=consul", "-consul.hostname=" + consul.Listener.Addr().String()}
	c := &cluster{T: t, kv: client(t, store...)}
	heard := func(ago time.Duration) {
		c.edit(func(d *ring.Desc) {
			d.Instances["me"] = ring.Instance{State: ring.Active, Timestamp: time.Now().Add(-ago).Unix()}
		})
	}
	heard(10 * time.Second)
	args := append(store, "-flusher.wal-dir="+dir, "-ingester.lifecycler.ID=me", "-ingester.adopt-dir")
	if err := flush(args...); err == nil || !strings.Contains(err.Error(), "is ACTIVE in the ring") {
		t.Errorf("flushed the volume of an ingester in the ring: %v", err)
	}
	heard(2 * time.Minute)
	if err := flush(args...); err != nil {
		t.Error(err)
	}
}

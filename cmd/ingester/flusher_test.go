package main

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// The flusher makes a left-over volume safe and ends; the volume is usable afterwards. It stays off one in use.
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
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
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
}

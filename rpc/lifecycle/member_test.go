package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rekindledb/rekindle/rpc/ring"
)

// Readiness waits for what it is told to wait for, and no longer (trap 11).
func TestReady(t *testing.T) {
	inBench(t, func(b *bench) {
		b.store.edit(func(d *ring.Desc) {
			d.Instances["z"] = ring.Instance{State: ring.Leaving, Tokens: []uint32{1}, Timestamp: time.Now().Unix()}
		})
		fast := b.member("a")
		if err := fast.Ready(); err != nil {
			t.Errorf("by default: %v", err)
		}
		slow := b.member("b", func(c *Config) { c.MinReady, c.CheckRingHealth = 15*time.Second, true })
		if err := slow.Ready(); err == nil || !strings.Contains(err.Error(), "min-ready-duration") {
			t.Errorf("at once: %v", err)
		}
		time.Sleep(16 * time.Second)
		if err := slow.Ready(); err == nil || !strings.Contains(err.Error(), "z in the ring is LEAVING") {
			t.Errorf("with another leaving: %v", err)
		}
		time.Sleep(time.Minute)
		if err := slow.Ready(); err == nil || !strings.Contains(err.Error(), "z in the ring is past its heartbeat timeout") {
			t.Errorf("with another unhealthy: %v", err)
		}
		if err := fast.Forget(b.Context(), "z"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		if err := slow.Ready(); err != nil {
			t.Errorf("after all: %v", err)
		}
		slow.Stop()
		fast.Stop()
	})
}

// A fresh instance waits join-after for another's tokens, and a stop meanwhile ends that.
func TestJoinAfter(t *testing.T) {
	inBench(t, func(b *bench) {
		l := b.start("a", func(c *Config) { c.JoinAfter = 30 * time.Second })
		begun := time.Now()
		if err := l.Join(b.Context()); err != nil || time.Since(begun) < 30*time.Second {
			t.Errorf("joined after %v: %v", time.Since(begun), err)
		}
		l.Stop()
		l = b.start("b", func(c *Config) { c.JoinAfter = 30 * time.Second })
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		if err := l.Join(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		b.expect("b", ring.Pending, 0)
		l.Stop()
	})
}

// Two processes under one id are told of each other, with the remedy.
func TestRival(t *testing.T) {
	inBench(t, func(b *bench) {
		var log bytes.Buffer
		l := b.member("a", func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		time.Sleep(20 * time.Second)
		if strings.Contains(log.String(), "another process") {
			t.Errorf("alone: %s", &log)
		}
		b.store.edit(func(d *ring.Desc) {
			in := d.Instances["a"]
			in.Addr = "elsewhere:9095"
			d.Instances["a"] = in
		})
		time.Sleep(6 * time.Second)
		l.Stop()
		if !strings.Contains(log.String(), "there=elsewhere:9095") || b.expect("a", ring.Active, 8).Addr != "a:9095" {
			t.Errorf("with a rival: %s", &log)
		}
	})
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gokit "github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// What dskit logs through go-kit comes out of the same handler as everything else, at its level; below the level nothing
// comes out.
func TestGoKitLogsThroughSlog(t *testing.T) {
	var out bytes.Buffer
	l := goKit{newLogger(&out, "json", "info")}
	if err := level.Debug(l).Log("msg", "not shown"); err != nil || out.Len() != 0 {
		t.Errorf("%v %s", err, &out)
	}
	if err := level.Warn(gokit.With(l, "route", "push")).Log("msg", "slow", "err", errors.New("disk")); err != nil {
		t.Error(err)
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	if line["level"] != "WARN" || line["msg"] != "slow" || line["route"] != "push" || line["err"] != "disk" {
		t.Error(line)
	}
}

// Clients of the ring's store repeat themselves while it is away: the log has each message once a minute.
func TestSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := newSeldom(goKit{slog.New(slog.NewTextHandler(&b, nil))})
		for range 100 {
			_ = level.Error(l).Log("msg", "error getting key", "err", "refused")
			_ = level.Info(l).Log("msg", "other")
			time.Sleep(time.Second)
		}
		if n := strings.Count(b.String(), "error getting key"); n != 2 {
			t.Errorf("%d times in 100 s", n)
		}
	})
}

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	gokit "github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// newLogger returns the process's logger. format is logfmt or json, lvl one of dskit's level names.
func newLogger(w io.Writer, format, lvl string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(lvl)); err != nil {
		l = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// goKit writes what dskit's server logs to the same logger as everything else.
type goKit struct{ to *slog.Logger }

var _ gokit.Logger = goKit{}

var levels = map[any]slog.Level{
	level.DebugValue(): slog.LevelDebug,
	level.InfoValue():  slog.LevelInfo,
	level.WarnValue():  slog.LevelWarn,
	level.ErrorValue(): slog.LevelError,
}

func (g goKit) Log(keyvals ...any) error {
	ctx, lvl := context.Background(), slog.LevelInfo
	for i := 0; i+1 < len(keyvals); i += 2 {
		if keyvals[i] == level.Key() {
			lvl = levels[keyvals[i+1]]
		}
	}
	if !g.to.Enabled(ctx, lvl) { // every request that succeeds logs a line at debug level
		return nil
	}
	msg := ""
	var attrs []any
	for i := 0; i+1 < len(keyvals); i += 2 {
		switch key := fmt.Sprint(keyvals[i]); key {
		case "level":
		case "msg":
			msg = fmt.Sprint(keyvals[i+1])
		default:
			attrs = append(attrs, key, keyvals[i+1])
		}
	}
	g.to.Log(ctx, lvl, msg, attrs...)
	return nil
}

// seldom passes a message on once in a while. Clients of a ring's store log each of their many attempts.
type seldom struct {
	to    gokit.Logger
	every time.Duration

	mu   sync.Mutex
	last map[string]time.Time
}

func newSeldom(to gokit.Logger) *seldom {
	return &seldom{to: to, every: time.Minute, last: map[string]time.Time{}}
}

func (s *seldom) Log(keyvals ...any) error {
	msg := ""
	for i := 0; i+1 < len(keyvals); i += 2 {
		if keyvals[i] == "msg" {
			msg = fmt.Sprint(keyvals[i+1])
		}
	}
	s.mu.Lock()
	last, said := s.last[msg]
	now := time.Now()
	again := !said || now.Sub(last) >= s.every
	if again {
		s.last[msg] = now
	}
	s.mu.Unlock()
	if !again {
		return nil
	}
	return s.to.Log(keyvals...)
}

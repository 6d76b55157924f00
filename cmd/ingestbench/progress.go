package main

import (
	"fmt"
	"os"
	"time"
)

// progress keeps one line of a terminal up to date. Elsewhere it prints nothing.
type progress struct {
	terminal bool
	began    time.Time
}

func newProgress() *progress {
	info, err := os.Stderr.Stat()
	return &progress{terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, began: time.Now()}
}

func (p *progress) set(title, phase string, done float64) {
	if !p.terminal {
		return
	}
	line := fmt.Sprintf("%4.0fs  %s: %s", time.Since(p.began).Seconds(), title, phase)
	if done > 0 {
		line += fmt.Sprintf(" %3.0f %%", done*100)
	}
	fmt.Fprintf(os.Stderr, "\r%.78s\x1b[K", line)
}

// clear leaves the line to whoever prints next.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}

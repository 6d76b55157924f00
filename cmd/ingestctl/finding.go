package main

import (
	"fmt"
	"io"
	"sync"
)

// level says how bad a finding is; it is also verify's exit code.
type level int

const (
	note   level = iota // worth knowing, nothing is wrong
	torn                // what an unclean stop leaves at the end, expected
	damage              // bytes once good are not what was written
)

func (l level) String() string { return [...]string{"note", "torn", "DAMAGE"}[l] }

// finding is one thing that verify has to say.
type finding struct {
	level level
	file  string
	off   int64 // where in the file; -1 if it is about all of it
	what  string
	do    string // what the next start does, and what the operator should do; may be empty for a note
}

// findings collects, and prints each at once: a long run may be interrupted.
type findings struct {
	w io.Writer

	mu    sync.Mutex
	worst level
	count [damage + 1]int
}

func (f *findings) add(x finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.worst = max(f.worst, x.level)
	f.count[x.level]++
	where := x.file
	if x.off >= 0 {
		where += fmt.Sprintf(" at byte %d", x.off)
	}
	fmt.Fprintf(f.w, "%-6s  %s: %s\n", x.level, where, x.what)
	if x.do != "" {
		fmt.Fprintf(f.w, "        -> %s\n", x.do)
	}
}

package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/common/version"
	"golang.org/x/sys/unix"
)

// machine says where figures come from. Figures without it are rumours.
type machine struct {
	Processor  string
	CPUs       int
	Kernel     string
	Go         string
	Commit     string
	Prometheus string
}

func thisMachine() machine {
	// The Makefile puts the commit where Prometheus's tools keep their version.
	m := machine{Processor: processor(), CPUs: runtime.NumCPU(), Kernel: kernel(), Go: runtime.Version(), Commit: cmp.Or(version.Version, "unknown"), Prometheus: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/prometheus/prometheus" {
				m.Prometheus = module.Version
			}
		}
	}
	return m
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return runtime.GOOS
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}

func (m machine) String() string {
	return fmt.Sprintf("commit %s, %s, Prometheus %s\n%s, %d CPUs, %s", m.Commit, m.Go, m.Prometheus, m.Processor, m.CPUs, m.Kernel)
}

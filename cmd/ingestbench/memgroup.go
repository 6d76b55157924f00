package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryGroup is a control group of the kernel that counts and limits the memory of the processes in it: of version 2
// where the memory controller is there, else of version 1.
type memoryGroup struct {
	dir string
	v1  bool
}

const cgroupRoot = "/sys/fs/cgroup"

// newMemoryGroup makes one below the group that this process is in.
func newMemoryGroup() (*memoryGroup, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("find this process's control group: %w", err)
	}
	g := &memoryGroup{}
	for line := range strings.Lines(string(own)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(part) < 3:
		case part[1] == "memory":
			g.v1, g.dir = true, filepath.Join(cgroupRoot, "memory", part[2])
		case part[1] == "" && g.dir == "":
			g.dir = filepath.Join(cgroupRoot, part[2])
		}
	}
	g.dir = filepath.Join(g.dir, fmt.Sprintf("rekindle-bench-%d", os.Getpid()))
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a control group, which takes root, or a group that was delegated: %w", err)
	}
	if _, err := g.number(g.name("memory.usage_in_bytes", "memory.current")); err != nil {
		return nil, errors.Join(fmt.Errorf("the control group %s counts no memory: %w", g.dir, err), g.remove())
	}
	return g, nil
}

func (g *memoryGroup) remove() error { return os.Remove(g.dir) }

// name is that of a file in version 1 or 2.
func (g *memoryGroup) name(v1, v2 string) string {
	if g.v1 {
		return v1
	}
	return v2
}

// enclose has a command enter the group before it becomes what it is.
func (g *memoryGroup) enclose(args []string) []string {
	return append([]string{"/bin/sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, g.dir}, args...)
}

func (g *memoryGroup) number(file string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

const noLimit = -1

func (g *memoryGroup) limit(size int64) error {
	text := strconv.FormatInt(size, 10)
	if size == noLimit && !g.v1 {
		text = "max"
	}
	return os.WriteFile(filepath.Join(g.dir, g.name("memory.limit_in_bytes", "memory.max")), []byte(text), 0)
}

// resetPeak begins a new peak. Kernels that cannot go on with the old one.
func (g *memoryGroup) resetPeak() {
	_ = os.WriteFile(filepath.Join(g.dir, g.name("memory.max_usage_in_bytes", "memory.peak")), []byte("0"), 0)
}

func (g *memoryGroup) peak() (int64, error) {
	return g.number(g.name("memory.max_usage_in_bytes", "memory.peak"))
}

// groupMemory is what a group holds, in bytes.
type groupMemory struct {
	Usage      int64 // everything that is charged to it
	Cache      int64 // page cache, which the kernel takes back when the limit is near
	WorkingSet int64 // as the kubelet counts: usage less the inactive part of the page cache
}

// needed is what the kernel cannot take back.
func (m groupMemory) needed() int64 { return m.Usage - m.Cache }

func (g *memoryGroup) memory() (m groupMemory, err error) {
	if m.Usage, err = g.number(g.name("memory.usage_in_bytes", "memory.current")); err != nil {
		return m, err
	}
	stat, err := os.ReadFile(filepath.Join(g.dir, "memory.stat"))
	if err != nil {
		return m, err
	}
	m.Cache = field(stat, g.name("total_cache", "file"))
	m.WorkingSet = m.Usage - field(stat, g.name("total_inactive_file", "inactive_file"))
	return m, nil
}

// kills is how many processes of the group were killed for want of memory.
func (g *memoryGroup) kills() (int64, error) {
	b, err := os.ReadFile(filepath.Join(g.dir, g.name("memory.oom_control", "memory.events")))
	return field(b, "oom_kill"), err
}

// field finds a line of a name and a number.
func field(b []byte, name string) (v int64) {
	if _, rest, ok := bytes.Cut(append([]byte("\n"), b...), []byte("\n"+name+" ")); ok {
		_, _ = fmt.Sscan(string(rest), &v)
	}
	return v
}

package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// processMemory reads what the kernel counts for this process.
func processMemory() memory {
	b, _ := os.ReadFile("/proc/self/status")
	return memory{Resident: statusField(b, "VmRSS:"), Peak: statusField(b, "VmHWM:")}
}

// cpuTimeOf is the CPU time that another process has used, in seconds.
func cpuTimeOf(pid int) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The second field is the command's name in parentheses, and may hold anything. utime and stime are the
	// 14th and 15th, in hundredths of a second on every Linux that Go runs on.
	_, rest, _ := strings.Cut(string(b[bytes.LastIndexByte(b, ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var user, system float64
	_, _ = fmt.Sscan(fields[11], &user)
	_, _ = fmt.Sscan(fields[12], &system)
	return (user + system) / 100
}

// statusField finds a line like "VmRSS:     1234 kB".
func statusField(status []byte, name string) (size int64) {
	if _, rest, ok := bytes.Cut(status, []byte("\n"+name)); ok {
		_, _ = fmt.Sscan(string(rest), &size)
	}
	return size << 10
}

// processor is the model's name as the kernel tells it.
func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(b), "model name")
	rest, _, _ = strings.Cut(rest, "\n")
	return strings.TrimLeft(rest, "\t: ")
}

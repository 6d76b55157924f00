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

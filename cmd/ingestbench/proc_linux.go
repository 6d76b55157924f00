package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// processMemory reads what the kernel counts for this process.
func processMemory() memory {
	b, _ := os.ReadFile("/proc/self/status")
	return memory{Resident: statusField(b, "VmRSS:"), Peak: statusField(b, "VmHWM:")}
}

// memoryOf reads what the kernel counts for another process.
func memoryOf(pid int) memory {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return memory{Resident: statusField(b, "VmRSS:"), Peak: statusField(b, "VmHWM:")}
}

// writtenBy is how many bytes another process has given to write calls, and how many of the page cache it has made
// dirty. Of the latter the kernel counts whole folios, which can be much more than what is written to the disk.
func writtenBy(pid int) (calls, dirty int64) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	for name, n := range map[string]*int64{"\nwchar: ": &calls, "\nwrite_bytes: ": &dirty} {
		if _, rest, ok := bytes.Cut(b, []byte(name)); ok {
			_, _ = fmt.Sscan(string(rest), n)
		}
	}
	return calls, dirty
}

// writtenToDevice is how many bytes everybody has written to the disk that a file is on.
func writtenToDevice(name string) int64 {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return 0
	}
	b, _ := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(st.Dev), unix.Minor(st.Dev)))
	fields := strings.Fields(string(b))
	if len(fields) < 7 {
		return 0
	}
	var sectors int64
	_, _ = fmt.Sscan(fields[6], &sectors)
	return sectors << 9
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

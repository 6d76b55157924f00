package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// child is the process that p, a supervisor, has started; 0 if there is none at the moment.
func (p *process) child() int {
	p.t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[0] != "Z" && f[1] == strconv.Itoa(p.cmd.Process.Pid) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			return pid
		}
	}
	return 0
}

// await waits until the process answers that it is ready.
func (p *process) await() {
	p.t.Helper()
	eventually(p.t, patience, "ready", func() (bool, string) {
		resp, err := http.Get(p.url + "ready")
		if err != nil {
			return false, err.Error()
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode == http.StatusOK, string(text)
	})
}

// The supervised process is killed again and again while clients push, each over a connection of its own: none is refused, neither
// by HTTP's socket nor by gRPC's, and what was acknowledged is there. SIGTERM ends both, and well.
func TestSupervise(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "a", "-supervise")
	grpc := p.args[len(p.args)-2]
	grpc = "127.0.0.1:" + grpc[strings.LastIndex(grpc, "=")+1:]

	now := time.Now().Truncate(time.Second)
	var (
		clients sync.WaitGroup
		done    = make(chan struct{})
		acked   [3]atomic.Int64
		failed  atomic.Int64
	)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	running := func() bool {
		select {
		case <-done:
			return false
		default:
			return true
		}
	}
	for k := range acked {
		clients.Go(func() {
			for n := int64(0); running(); n++ {
				body := pushBody(t, fmt.Sprint("m", k), now.Add(time.Duration(n)*time.Millisecond), float64(n))
				resp, err := client.Post(p.url+"api/v1/push", "", body)
				switch {
				case errors.Is(err, syscall.ECONNREFUSED):
					t.Errorf("push %d of client %d: %v", n, k, err)
				case err != nil:
					failed.Add(1)
				default:
					if resp.StatusCode == http.StatusOK {
						acked[k].Add(1)
					}
					_ = resp.Body.Close()
				}
			}
		})
	}
	clients.Go(func() {
		for running() {
			conn, err := net.Dial("tcp", grpc)
			if err != nil {
				t.Errorf("gRPC: %v", err)
				return
			}
			_ = conn.Close()
			time.Sleep(time.Millisecond)
		}
	})
	for last := range 5 {
		before := acked[0].Load()
		eventually(t, patience, "pushes are acknowledged", func() (bool, string) { n := acked[0].Load(); return n > before+20, fmt.Sprint(n - before) })
		victim := p.child()
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Fatalf("kill %d: %d: %v", last, victim, err)
		}
		p.await()
		if next := p.child(); next == victim {
			t.Fatalf("process %d lives on", victim)
		}
	}
	close(done)
	clients.Wait()
	t.Logf("acknowledged %d, broken by kills %d", acked[0].Load()+acked[1].Load()+acked[2].Load(), failed.Load())
	for k := range acked {
		want := acked[k].Load()
		// What was not acknowledged may be there too.
		q := fmt.Sprintf("count_over_time(m%d[10m])>=%d", k, want)
		p.expect(t, q, now.Add(5*time.Minute), `"value":[`)
	}
	p.end()
	if conn, err := net.Dial("tcp", grpc); err == nil {
		_ = conn.Close()
		t.Error("somebody still listens")
	}
}

// A child that cannot start is started over and over; SIGTERM ends that. What is called wrongly is not started.
func TestSuperviseInVain(t *testing.T) {
	t.Parallel()
	p := prepareProcess(t, "a", "-supervise")
	p.args[0] = "-ingester.wal-dir=" + filepath.Join(p.dir, "file")
	if err := os.WriteFile(filepath.Join(p.dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), "REKINDLE_TEST_CHILD="+strings.Join(p.args, "\n"))
	logs := &logLines{line: make(chan string, 100)}
	p.cmd.Stderr = logs
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deaths := 0; deaths < 4; {
		if line := <-logs.line; strings.Contains(line, "started again") && strings.Contains(line, `status="exit 1"`) {
			deaths++
		}
	}
	p.signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
	// It was told between two children, or had the last one end: that one failed too, unless SIGTERM came before it could.
	if code := p.cmd.ProcessState.ExitCode(); code != exitFailed && code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d", code)
	}

	p.args = append(p.args, "-target=flusher")
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), "REKINDLE_TEST_CHILD="+strings.Join(p.args, "\n"))
	if text, err := p.cmd.CombinedOutput(); err == nil || p.cmd.ProcessState.ExitCode() != exitUsage {
		t.Errorf("a flusher: %v: %s", err, text)
	}
	p.cmd = nil
}

// An early death is followed by a start at once, the next by pauses that grow and have an end; a child that lived makes it good.
func TestPauses(t *testing.T) {
	var d deaths
	for i, want := range []time.Duration{0, pauseMin, 2 * pauseMin, 4 * pauseMin} {
		if got := d.pauseAfter(soon - 1); got != want {
			t.Errorf("after %d early deaths %v, want %v", i+1, got, want)
		}
	}
	for range 1000 {
		if got := d.pauseAfter(0); got <= 4*pauseMin || got > pauseMax {
			t.Fatalf("after %d early deaths %v", d, got)
		}
	}
	if got := d.pauseAfter(soon); got != 0 {
		t.Errorf("after one that lived %v", got)
	}
	if got := d.pauseAfter(0); got != 0 {
		t.Errorf("after the first early death since %v", got)
	}
}

// Sockets that somebody else holds, as systemd does, are used in the place of the addresses that the flags name; what does not fit is
// an error, and what is for another process is left alone.
func TestGivenSockets(t *testing.T) {
	t.Parallel()
	var files []*os.File
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, l.Addr().String())
		_ = l.Close() // f holds the socket
		files = append(files, f)
	}
	run := func(p *process, pid, n string) *exec.Cmd {
		c := exec.Command("sh", "-c", "LISTEN_PID="+pid+` exec "$0"`, os.Args[0])
		c.Env = append(os.Environ(), "LISTEN_FDS="+n, "REKINDLE_TEST_CHILD="+strings.Join(p.args, "\n"))
		c.ExtraFiles = files
		return c
	}
	p := prepareProcess(t, "a")
	if text, err := run(p, "$$", "1").CombinedOutput(); err == nil || !strings.Contains(string(text), "two sockets are needed") {
		t.Errorf("one socket: %v: %s", err, text)
	}
	for _, supervise := range [][]string{nil, {"-supervise"}} {
		q := prepareProcess(t, "a", supervise...)
		q.cmd = run(q, "$$", "2")
		if err := q.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		named := q.url
		q.url = "http://" + addrs[0] + "/"
		q.await()
		if conn, err := net.Dial("tcp", addrs[1]); err != nil {
			t.Error(err)
		} else {
			_ = conn.Close()
		}
		if _, err := http.Get(named + "ready"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("it listens on its own port too: %v", err)
		}
		now := time.Now().Truncate(time.Second)
		c := &cluster{T: t}
		c.mustPush(q, now)
		q.expect(t, "up", now, `"1"]`)
		q.end()
	}
	p.cmd = run(p, "1", "2") // another's
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.await()
}

// Process 1 has children that it has not started: they are collected while it waits for its own.
func TestReap(t *testing.T) {
	if os.Getenv("REKINDLE_TEST_REAP") == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestReap$")
		c.Env = append(os.Environ(), "REKINDLE_TEST_REAP=yes") // alone in a process: reap takes the children of other tests
		if text, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, text)
		}
		return
	}
	start := func(code string) int {
		pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", code}, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	other, own := start("exit 3"), start("kill -9 $$")
	var status syscall.WaitStatus
	eventually(t, patience, "its own has ended", func() (ended bool, _ string) { status, ended = reap(own); return ended, "" })
	if code := exitCode(status); code != 128+9 {
		t.Errorf("exit code %d", code)
	}
	eventually(t, patience, "the other is collected", func() (bool, string) {
		reap(own)
		err := syscall.Kill(other, 0)
		return errors.Is(err, syscall.ESRCH), fmt.Sprint(err)
	})
}

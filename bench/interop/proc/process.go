// Package proc runs the servers of a test: started, stopped or killed, and started again on the same directory.
package proc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a server. Its log goes on over its restarts.
type Process struct {
	Name string
	Dir  string // its working directory; the log is in it
	Addr string // host:port of its HTTP server
	Args []string

	// ReadyPath answers 200 once the process serves.
	ReadyPath string
	// ReadyTimeout is how long that may take; 30 s if not given.
	ReadyTimeout time.Duration

	// Supervised is a process that starts a child anew that dies: Kill is the child's then.
	Supervised bool

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process is gone
	result error         // then, what Wait returned
}

// Start runs the process and waits until it is ready. It returns how long that took.
func (p *Process) Start(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	if err := p.Launch(); err != nil {
		return 0, err
	}
	err := p.AwaitReady(ctx)
	return time.Since(begin), err
}

// Launch runs the process and waits for nothing. It does nothing if the process runs, which is supervised.
func (p *Process) Launch() error {
	if p.runs() {
		return nil
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(p.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = exec.Command(p.Args[0], p.Args[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = p.Dir, log, log
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan<- struct{}) {
		p.result = cmd.Wait()
		close(exited)
	}(p.cmd, p.exited)
	return nil
}

// AwaitReady returns when the process serves, or an error when it ends before or takes too long.
func (p *Process) AwaitReady(ctx context.Context) error {
	timeout := p.ReadyTimeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for !p.ready(ctx) {
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended before it was ready: %w; its log is %s", p.Name, errOr(p.result, "exit 0"), p.LogFile())
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in time: %w; its log is %s", p.Name, ctx.Err(), p.LogFile())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

func (p *Process) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addr+p.ReadyPath, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Signal sends any signal, and waits for nothing.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("send %v to %s: %w", s, p.Name, err)
	}
	return nil
}

// Kill sends SIGKILL, which no process can see coming, and waits for the end.
func (p *Process) Kill() error {
	if p.Supervised {
		return p.killChild()
	}
	if err := p.Signal(os.Kill); err != nil {
		return err
	}
	<-p.exited
	return nil
}

// Stop sends SIGTERM and expects the process to end in good order.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.exited:
		if p.result != nil {
			return fmt.Errorf("stop %s: %w; its log is %s", p.Name, p.result, p.LogFile())
		}
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(fmt.Errorf("%s did not stop within 30s of SIGTERM; its log is %s", p.Name, p.LogFile()), p.Kill())
	}
}

// CleanUp ends the process if it runs.
func (p *Process) CleanUp() {
	if p.cmd == nil {
		return
	}
	if p.Supervised && p.runs() { // killed it would leave its child behind
		_ = p.Signal(syscall.SIGTERM)
	} else {
		_ = p.cmd.Process.Kill() // an error says that it has ended
	}
	<-p.exited
}

func (p *Process) runs() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// killChild returns when the child is gone, or is another one already.
func (p *Process) killChild() error {
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
		if pid := childOf(p.cmd.Process.Pid); pid != 0 {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return fmt.Errorf("kill process %d, the child of %s: %w", pid, p.Name, err)
			}
			for childOf(p.cmd.Process.Pid) == pid {
				time.Sleep(100 * time.Microsecond)
			}
			return nil
		}
	}
	return fmt.Errorf("%s has no child", p.Name)
}

// childOf returns a child of a process, 0 if it has none.
func childOf(parent int) int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[0] != "Z" && f[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			return pid
		}
	}
	return 0
}

// LogFile is where the process's standard output and error output go.
func (p *Process) LogFile() string { return filepath.Join(p.Dir, p.Name+".log") }

func errOr(err error, text string) error {
	if err == nil {
		return errors.New(text)
	}
	return err
}

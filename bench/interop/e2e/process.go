package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is a server that is started, stopped or killed, and started again on the same directory.
type process struct {
	name string
	dir  string // its working directory; the log is in it
	addr string // host:port of its HTTP server
	args []string

	// readyPath answers 200 once the process serves.
	readyPath string

	cmd    *exec.Cmd
	exited chan error // gets what Wait returned, once
}

// start runs the process and waits until it is ready. It returns how long that took.
func (p *process) start(ctx context.Context) (time.Duration, error) {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return 0, err
	}
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = p.dir, log, log
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", p.name, err)
	}
	p.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan<- error) { exited <- cmd.Wait() }(p.cmd, p.exited)

	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if p.ready(ctx) {
			return time.Since(begin), nil
		}
		select {
		case err := <-p.exited:
			p.exited <- err
			return 0, fmt.Errorf("%s ended before it was ready: %w; its log is %s", p.name, errOr(err, "exit 0"), p.logFile())
		case <-ctx.Done():
			return 0, fmt.Errorf("%s was not ready in time: %w; its log is %s", p.name, ctx.Err(), p.logFile())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *process) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+p.readyPath, nil)
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

// kill sends SIGKILL, which no process can see coming, and waits for the end.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.exited
	return nil
}

// stop sends SIGTERM and expects the process to end in good order.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case err := <-p.exited:
		if err != nil {
			return fmt.Errorf("stop %s: %w; its log is %s", p.name, err, p.logFile())
		}
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(fmt.Errorf("%s did not stop within 30s of SIGTERM; its log is %s", p.name, p.logFile()), p.kill())
	}
}

// cleanUp ends the process if it runs.
func (p *process) cleanUp() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill() // an error says that it has ended
	}
}

func (p *process) logFile() string { return filepath.Join(p.dir, p.name+".log") }

// freePorts finds ports on the loopback interface that nobody listens on.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		// Closed on return, so that no port is found twice.
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

func errOr(err error, text string) error {
	if err == nil {
		return errors.New(text)
	}
	return err
}

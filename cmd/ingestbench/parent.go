package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/rekindledb/rekindle/bench"
)

// childName is the first argument of a child process.
const childName = "child"

// process is a child seen by its parent.
type process struct {
	title string
	cmd   *exec.Cmd
	began time.Time
	in    io.WriteCloser
	out   *json.Decoder
	show  *progress
}

func start(ctx context.Context, show *progress, title string, s spec) (*process, error) {
	orders, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{title: title, show: show, cmd: exec.CommandContext(ctx, self, childName, string(orders))}
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a child: %w", err)
	}
	return p, nil
}

// until reads events until one is wanted.
func (p *process) until(wanted func(event) bool) (event, error) {
	for {
		var e event
		if err := p.out.Decode(&e); err != nil {
			return e, p.failed(fmt.Errorf("the process ended early: %w", errors.Join(err, p.cmd.Wait())))
		}
		if e.Error != "" {
			return e, p.failed(errors.Join(errors.New(e.Error), p.kill()))
		}
		if wanted(e) {
			return e, nil
		}
		p.show.set(p.title, e.Phase, e.Done)
	}
}

func (p *process) failed(err error) error { return fmt.Errorf("%s: %w", p.title, err) }

// ready waits until the system answers and returns what that took since the process was started.
func (p *process) ready() (r restart, err error) {
	e, err := p.until(func(e event) bool { return e.Ready != nil })
	if err != nil {
		return r, err
	}
	return restart{Seconds: time.Since(p.began).Seconds(), CPU: e.Ready.CPU, Memory: e.Ready.Memory}, nil
}

func (p *process) loaded() (*loadedEvent, error) {
	e, err := p.until(func(e event) bool { return e.Loaded != nil })
	return e.Loaded, err
}

func (p *process) found() (*bench.Found, error) {
	e, err := p.until(func(e event) bool { return e.Found != nil })
	return e.Found, err
}

// kill is SIGKILL. That the process ended by it is no error.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = p.cmd.Wait()
	return nil
}

// stop asks the process to end in good order and returns how long that took.
func (p *process) stop() (took float64, err error) {
	p.show.set(p.title, "stop", 0)
	begin := time.Now()
	if err := p.in.Close(); err != nil {
		return 0, p.failed(err)
	}
	if err := p.cmd.Wait(); err != nil {
		return 0, p.failed(err)
	}
	return time.Since(begin).Seconds(), nil
}

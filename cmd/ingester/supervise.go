package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// ends are the signals that end an ingester. A supervisor passes them on.
var ends = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

// A child that died soon after its start died of it, and will again: from the second time in a row on there is a pause before
// the next, twice as long each time. What fails later than soon cannot fail often.
const (
	soon     = 300 * time.Millisecond
	pauseMin = 100 * time.Millisecond
	pauseMax = 5 * time.Second
)

// supervisor runs the ingester as its child. What it holds is the two sockets, nothing that a bug or the kernel's killer of
// large processes would find. While a child is replaced connections queue up in the sockets; the next one takes them from there.
type supervisor struct {
	held    *sockets
	sockets []*os.File // the same, as a child gets them
	files   []uintptr  // of a child: standard ones and the sockets
	path    string
	args    []string
	env     []string
	told    chan os.Signal // what the supervisor is told
	died    chan os.Signal // some child has ended
	stopped bool           // told to end
	logger  *slog.Logger
}

// supervise runs this program with the same arguments as a child, and returns its exit code when it has ended well or was told
// to end. given are sockets that this process was started with.
func supervise(ctx context.Context, o *options, given *sockets, args []string, logger *slog.Logger) int {
	s, err := newSupervisor(o, given, args, logger)
	if err != nil {
		logger.Error("supervisor ends: " + err.Error())
		return exitFailed
	}
	signal.Notify(s.told, ends...)
	signal.Notify(s.died, syscall.SIGCHLD)
	if ctx.Err() != nil { // told before it listened
		return exitOK
	}
	return s.run()
}

func newSupervisor(o *options, held *sockets, args []string, logger *slog.Logger) (*supervisor, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if held == nil {
		if held, err = listen(o); err != nil {
			return nil, err
		}
	}
	s := &supervisor{
		held: held, files: []uintptr{0, 1, 2}, path: path, args: append([]string{os.Args[0]}, args...),
		env:  append(os.Environ(), "LISTEN_PID="+strconv.Itoa(os.Getpid()), "LISTEN_FDS=2"),
		told: make(chan os.Signal, 4), died: make(chan os.Signal, 1), logger: logger,
	}
	for _, l := range []net.Listener{held.http, held.grpc} {
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			return nil, err
		}
		s.sockets, s.files = append(s.sockets, f), append(s.files, f.Fd())
	}
	return s, nil
}

func (s *supervisor) run() int {
	var d deaths
	for {
		begun := time.Now()
		pid, err := s.start()
		if err != nil {
			s.logger.Error("the ingester cannot be started", "path", s.path, "err", err)
			return exitFailed
		}
		status := s.await(pid)
		if s.stopped || status.Exited() && status.ExitStatus() == exitOK {
			return exitCode(status)
		}
		pause := d.pauseAfter(time.Since(begun))
		s.logger.Error("the ingester died and is started again", "pid", pid, "status", describe(status), "lived", time.Since(begun).Round(time.Millisecond), "pause", pause)
		select {
		case <-s.told:
			return exitCode(status)
		case <-time.After(pause):
		}
	}
}

// start starts a child in a process group of its own: what a terminal sends to the supervisor's reaches the child once, from here.
func (s *supervisor) start() (pid int, err error) {
	return syscall.ForkExec(s.path, s.args, &syscall.ProcAttr{
		Env: s.env, Files: s.files, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
}

// await returns when the child has ended. Told to end, it lets go of the sockets, so that they are gone as soon as the child
// lets go of them, and passes on what it was told.
func (s *supervisor) await(pid int) syscall.WaitStatus {
	for {
		select {
		case told := <-s.told:
			if !s.stopped {
				s.letGo()
			}
			_ = syscall.Kill(pid, told.(syscall.Signal)) // it is there, if only as a zombie
		case <-s.died:
			if status, ended := reap(pid); ended {
				return status
			}
		}
	}
}

func (s *supervisor) letGo() {
	s.stopped = true
	_, _ = s.held.http.Close(), s.held.grpc.Close()
	for _, f := range s.sockets {
		_ = f.Close()
	}
}

// reap collects all children that have ended, and says whether pid is among them. Process 1 of a container has more than it
// has started: those whose parents are gone.
func reap(pid int) (status syscall.WaitStatus, ended bool) {
	for {
		var one syscall.WaitStatus
		got, err := syscall.Wait4(-1, &one, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil || got <= 0:
			return status, ended
		case got == pid:
			status, ended = one, true
		}
	}
}

// deaths is how many children in a row have died early.
type deaths int

// pauseAfter is the pause after a child that has lived so long.
func (d *deaths) pauseAfter(lived time.Duration) time.Duration {
	if *d++; lived >= soon {
		*d = 0
	}
	if *d < 2 {
		return 0
	}
	return min(pauseMin<<min(*d-2, 10), pauseMax)
}

// exitCode is a child's, as a shell would say it.
func exitCode(status syscall.WaitStatus) int {
	const signalled = 128
	if status.Signaled() {
		return signalled + int(status.Signal())
	}
	return status.ExitStatus()
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return status.Signal().String()
	}
	return "exit " + strconv.Itoa(status.ExitStatus())
}

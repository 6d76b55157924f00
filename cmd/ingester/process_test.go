package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain is an ingester if the environment says so: tests kill processes, and what they kill is this program.
func TestMain(m *testing.M) {
	if args, child := os.LookupEnv("REKINDLE_TEST_CHILD"); child {
		os.Args = append(os.Args[:1], strings.Split(args, "\n")...)
		main()
	}
	os.Exit(m.Run())
}

// process is an ingester of its own, on the ports and the directory that it keeps over restarts.
type process struct {
	instance
	t    *testing.T
	id   string
	dir  string
	args []string
	cmd  *exec.Cmd
}

// newProcess starts one and waits until it is ready.
func newProcess(t *testing.T, id string, args ...string) *process {
	t.Helper()
	p := prepareProcess(t, id, args...)
	p.start()
	return p
}

func prepareProcess(t *testing.T, id string, args ...string) *process {
	t.Helper()
	http, grpc := freePort(t), freePort(t)
	p := &process{t: t, id: id, dir: t.TempDir()}
	p.args = append([]string{
		"-ingester.wal-dir=" + p.dir, "-ingester.lifecycler.ID=" + id, "-ingester.lifecycler.addr=127.0.0.1",
		"-server.http-listen-address=127.0.0.1", "-server.http-listen-port=" + http,
		"-server.grpc-listen-address=127.0.0.1", "-server.grpc-listen-port=" + grpc,
	}, args...)
	p.url = "http://127.0.0.1:" + http + "/"
	t.Cleanup(func() {
		switch {
		case p.cmd == nil:
		case slices.Contains(p.args, "-supervise"): // killed it would leave its child behind
			p.end()
		default:
			p.kill()
		}
	})
	return p
}

var portsGiven sync.Map

// freePort is below those that the kernel gives to outgoing connections: one of these could take it before it is used.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		port := strconv.Itoa(10000 + rand.IntN(20000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			if _, given := portsGiven.LoadOrStore(port, true); !given {
				return port
			}
		}
	}
}

// start waits until it is ready.
func (p *process) start() {
	p.t.Helper()
	p.begin()()
}

// begin starts it. What it returns waits until it is ready.
func (p *process) begin() (ready func()) {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), "REKINDLE_TEST_CHILD="+strings.Join(p.args, "\n"))
	logs, err := p.cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	said, lines := make(chan bool, 1), []string{}
	go func() {
		s := bufio.NewScanner(logs)
		for s.Scan() {
			if strings.Contains(s.Text(), "msg=ready") {
				select {
				case said <- true:
				default: // another child of a supervisor
				}
			} else if len(lines) < 100 {
				lines = append(lines, s.Text())
			}
		}
		close(said)
	}()
	return func() {
		p.t.Helper()
		select {
		case ok := <-said:
			if !ok {
				p.t.Fatalf("ends instead of getting ready:\n%s", strings.Join(lines, "\n"))
			}
		case <-time.After(patience):
			p.t.Fatal("does not get ready")
		}
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
	p.cmd = nil
}

// end stops it cleanly and waits until it has ended.
func (p *process) end() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		p.t.Error(err)
	}
	p.cmd = nil
}

// restart kills it and starts it again.
func (p *process) restart() {
	p.t.Helper()
	p.kill()
	p.start()
}

// patience is how long tests wait for what must come, on a machine that has much else to do.
const patience = time.Minute

// eventually waits until what() is true.
func eventually(t *testing.T, within time.Duration, what string, is func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		ok, saw := is()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s; last seen: %.200s", within, what, saw)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// sees waits until the process shows an instance in a state on its page and in its metric.
func (p *process) sees(id, state string) {
	p.t.Helper()
	p.seesWithin(patience, id, state)
}

func (p *process) seesWithin(within time.Duration, id, state string) {
	p.t.Helper()
	eventually(p.t, within, id+" is "+state, func() (bool, string) {
		req, err := http.NewRequest(http.MethodGet, p.url+"ring", nil)
		if err != nil {
			p.t.Fatal(err)
		}
		req.Header.Set("Accept", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return strings.Contains(string(b), fmt.Sprintf(`{"id":%q,"state":%q`, id, state)), string(b)
	})
}

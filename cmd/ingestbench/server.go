package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a database in a process of its own, seen as a cluster sees it: over HTTP. It is started, killed and
// started again on the same directory.
type server struct {
	name string
	args []string // the command, its path first
	dir  string   // its working directory; its output is in it

	base                           string // http://host:port
	grpc                           string // host:port of cortex.Ingester; empty to push over HTTP
	pushPath, readyPath, queryPath string

	tenant string // of what is pushed over gRPC

	process *os.Process
	pid     int
	exited  chan error // gets what Wait returned, and is closed
}

// newServer is the ingester's binary with its defaults and some flags.
func newServer(binary, dir string, flags ...string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return &server{
		name: "ingester", dir: dir, base: fmt.Sprintf("http://127.0.0.1:%d", port),
		args: append([]string{
			binary, "-server.http-listen-address=127.0.0.1", "-server.http-listen-port=" + strconv.Itoa(port),
			"-server.grpc-listen-address=127.0.0.1", "-server.grpc-listen-port=0",
		}, flags...),
		pushPath: "/api/v1/push", readyPath: "/ready", queryPath: "/prometheus/api/v1/query", tenant: tenant,
	}, nil
}

// overGRPC makes the server listen for gRPC, and pushes take that way.
func (s *server) overGRPC() error {
	port, err := freePort()
	if err != nil {
		return err
	}
	s.grpc = fmt.Sprintf("127.0.0.1:%d", port)
	s.args = append(s.args, "-server.grpc-listen-port="+strconv.Itoa(port))
	return nil
}

// freePort is one that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// start runs the command and returns how many seconds it took until the server said that it is ready.
func (s *server) start(ctx context.Context) (float64, error) {
	begin := time.Now()
	if err := s.launch(ctx); err != nil {
		return 0, err
	}
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	return time.Since(begin).Seconds(), nil
}

func (s *server) logName() string { return filepath.Join(s.dir, s.name+".log") }

// launch starts the process.
func (s *server) launch(ctx context.Context) error {
	log, err := os.OpenFile(s.logName(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, s.args[0], s.args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.process, s.pid = cmd.Process, cmd.Process.Pid
	s.exited = make(chan error, 1)
	go func(exited chan<- error) {
		exited <- cmd.Wait()
		close(exited)
	}(s.exited)
	return nil
}

// ready waits until the server says so.
func (s *server) ready(ctx context.Context) error {
	for {
		if status, _, err := s.get(ctx, s.readyPath); err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case err := <-s.exited:
			text, _ := os.ReadFile(s.logName())
			return fmt.Errorf("%s ended (%v) before it was ready; it says:\n%s", s.name, err, text[max(len(text)-4000, 0):])
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// kill is SIGKILL, and returns when the process is gone.
func (s *server) kill() {
	// It cannot be killed if it has ended, which is as good.
	_ = s.process.Kill()
	<-s.exited
}

// stop is SIGTERM. It returns how many seconds the process took to end.
func (s *server) stop() (float64, error) {
	begin := time.Now()
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("stop %s: %w", s.name, err)
	}
	if err := <-s.exited; err != nil {
		return 0, fmt.Errorf("stop %s: %w; its log is %s", s.name, err, s.logName())
	}
	return time.Since(begin).Seconds(), nil
}

// get asks for a path.
func (s *server) get(ctx context.Context, path string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// metrics are what the server says of itself: the value of each line of /metrics, by name and labels.
func (s *server) metrics(ctx context.Context) (map[string]float64, error) {
	_, body, err := s.get(ctx, "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read the metrics of %s: %w", s.name, err)
	}
	values := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			if v, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64); err == nil {
				values[line[:i]] = v
			}
		}
	}
	return values, nil
}

// figures are those metrics of an ingester that are about restarts and images; empty of others.
func (s *server) figures(ctx context.Context) (map[string]float64, error) {
	all, err := s.metrics(ctx)
	maps.DeleteFunc(all, func(name string, _ float64) bool {
		return !strings.HasPrefix(name, "rekindle_re") && !strings.HasPrefix(name, "rekindle_image_")
	})
	return all, err
}

// push sends one body of remote write 1.0.
func (s *server) push(ctx context.Context, client *http.Client, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+s.pushPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s answers a push with %s: %.200s", s.name, resp.Status, answer)
	}
	return err
}

// query asks for a number: an expression whose answer is one series, or none, which counts as 0.
func (s *server) query(ctx context.Context, expr string, at int64) (float64, error) {
	_, body, err := s.get(ctx, s.queryPath+"?"+url.Values{"query": {expr}, "time": {strconv.FormatFloat(float64(at)/1000, 'f', 3, 64)}}.Encode())
	if err != nil {
		return 0, err
	}
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("read the answer to %s: %w", expr, err)
	}
	switch {
	case answer.Error != "":
		return 0, fmt.Errorf("%s answers %s: %s", s.name, expr, answer.Error)
	case len(answer.Data.Result) == 0:
		return 0, nil
	}
	return strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
}

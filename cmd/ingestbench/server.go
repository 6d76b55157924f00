package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/klauspost/compress/s2"
	"golang.org/x/sync/errgroup"

	"github.com/rekindledb/rekindle/bench"
)

// server is the ingester's binary, seen as the cluster sees it: over HTTP.
type server struct {
	binary, dir string
	port        int
	cmd         *exec.Cmd
	exited      chan error // gets what Wait returned, and is closed
}

func newServer(binary, dir string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return &server{binary: binary, dir: dir, port: l.Addr().(*net.TCPAddr).Port}, nil
}

// start runs the binary in its directory and returns how long it took until /ready said 200.
func (s *server) start(ctx context.Context) (float64, error) {
	logName := filepath.Join(s.dir, "ingester.log")
	log, err := os.OpenFile(logName, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	s.cmd = exec.CommandContext(ctx, s.binary, "-server.http-listen-address=127.0.0.1", "-server.http-listen-port="+strconv.Itoa(s.port),
		"-server.grpc-listen-address=127.0.0.1", "-server.grpc-listen-port=0")
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		return 0, fmt.Errorf("start the ingester: %w", err)
	}
	s.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan<- error) {
		exited <- cmd.Wait()
		close(exited)
	}(s.cmd, s.exited)
	for {
		resp, err := http.Get(s.url("/ready"))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return time.Since(begin).Seconds(), nil
			}
		}
		select {
		case err := <-s.exited:
			text, _ := os.ReadFile(logName)
			return 0, fmt.Errorf("the ingester ended (%v) before it was ready; it says:\n%s", err, text)
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (s *server) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", s.port, path) }

// kill is SIGKILL, and returns when the process is gone.
func (s *server) kill() {
	// It cannot be killed if it has ended, which is as good.
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// load remote-writes scrapes from to end (exclusive), each request acknowledged before its writer sends the
// next.
func (s *server) load(ctx context.Context, w *bench.Workload, sp spec, from, end int, progress func(done float64)) error {
	g, ctx := errgroup.WithContext(ctx)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: sp.Writers}}
	defer client.CloseIdleConnections()
	for writer := range sp.Writers {
		g.Go(func() error {
			f := w.Feeder()
			var message, body []byte
			for scrape := from; scrape < end; scrape++ {
				for lo := writer * sp.Request; lo < w.Series(); lo += sp.Writers * sp.Request {
					message = f.AppendV1(message[:0], scrape, lo, min(lo+sp.Request, w.Series()))
					body = s2.EncodeSnappy(body[:cap(body)], message)
					if err := s.push(ctx, client, body); err != nil {
						return err
					}
					if writer == 0 {
						progress((float64(scrape-from) + float64(lo)/float64(w.Series())) / float64(end-from))
					}
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (s *server) push(ctx context.Context, client *http.Client, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url("/api/v1/push"), bytes.NewReader(body))
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
		err = fmt.Errorf("the ingester answers a push with %s: %.200s", resp.Status, answer)
	}
	return err
}

// query asks for a number: an expression whose answer is one series, or none, which counts as 0.
func (s *server) query(ctx context.Context, expr string, at int64) (float64, error) {
	u := s.url("/prometheus/api/v1/query") + "?" + url.Values{"query": {expr}, "time": {strconv.FormatFloat(float64(at)/1000, 'f', 3, 64)}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, fmt.Errorf("read the answer to %s: %w", expr, err)
	}
	switch {
	case answer.Error != "":
		return 0, fmt.Errorf("the ingester answers %s: %s", expr, answer.Error)
	case len(answer.Data.Result) == 0:
		return 0, nil
	}
	return strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
}

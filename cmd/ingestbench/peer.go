package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// peer is a database that takes the same stream as ours.
type peer struct {
	name string
	// make prepares one in an empty directory. Started it listens to nobody but this machine.
	make func(dir string) (*server, error)
}

// rekindleOver is ours, pushed to over HTTP or gRPC.
func rekindleOver(binary, how string) peer {
	return peer{name: "Rekindle, " + how, make: func(dir string) (*server, error) {
		s, err := newServer(binary, dir)
		if err == nil && how == "gRPC" {
			err = s.overGRPC()
		}
		return s, err
	}}
}

// prometheusServer takes remote write with its defaults.
func prometheusServer(binary string) peer {
	return peer{name: "Prometheus, HTTP", make: func(dir string) (*server, error) {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte("global: {}\n"), 0o644); err != nil {
			return nil, err
		}
		return &server{
			name: "prometheus", dir: dir, base: fmt.Sprintf("http://127.0.0.1:%d", port),
			args: []string{
				binary, fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port), "--web.enable-remote-write-receiver",
				"--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn",
			},
			pushPath: "/api/v1/write", readyPath: "/-/ready", queryPath: "/api/v1/query",
		}, nil
	}}
}

// cortexServer is what of Cortex takes samples and answers queries, in one process, pushed to where a distributor
// pushes: at its ingester. Its limits on series are off, and it does not wait for others to join.
func cortexServer(binary string) peer {
	return peer{name: "Cortex, gRPC", make: func(dir string) (*server, error) {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		s := &server{
			name: "cortex", dir: dir, base: fmt.Sprintf("http://127.0.0.1:%d", port),
			args: []string{
				binary, "-target=distributor,ingester,querier,store-gateway", "-server.http-listen-address=127.0.0.1", fmt.Sprintf("-server.http-listen-port=%d", port), "-server.grpc-listen-address=127.0.0.1",
				"-auth.enabled=false", "-log.level=warn", "-ring.store=inmemory", "-distributor.ring.store=inmemory", "-store-gateway.sharding-ring.store=inmemory", "-store-gateway.sharding-enabled=true", "-store-gateway.sharding-ring.wait-stability-min-duration=0s",
				"-distributor.ring.instance-addr=127.0.0.1", "-querier.instance-addr=127.0.0.1",
				"-store-gateway.sharding-ring.instance-addr=127.0.0.1", "-ingester.lifecycler.addr=127.0.0.1", "-ingester.lifecycler.ID=ingester",
				"-ingester.join-after=0s", "-ingester.observe-period=0s", "-ingester.min-ready-duration=0s", "-ingester.final-sleep=0s", "-distributor.replication-factor=1",
				"-ingester.max-series-per-user=0", "-ingester.max-series-per-metric=0", "-ingester.max-global-series-per-user=0", "-ingester.max-global-series-per-metric=0",
				"-blocks-storage.backend=filesystem", "-blocks-storage.filesystem.dir=bucket", "-blocks-storage.tsdb.dir=tsdb", "-blocks-storage.bucket-store.sync-dir=sync",
				"-server.grpc-max-recv-msg-size-bytes=104857600",
			},
			readyPath: "/ready", queryPath: "/prometheus/api/v1/query", tenant: cortexTenant,
		}
		return s, s.overGRPC()
	}}
}

// cortexTenant is who everything belongs to while Cortex's authentication is off.
const cortexTenant = "fake"

// running is a server that somebody else has started, known by its URL and process id, such as VictoriaMetrics. After a
// kill it is started again by its own command line.
func running(name, url string, pid int) peer {
	return peer{name: name, make: func(string) (*server, error) {
		proc := "/proc/" + strconv.Itoa(pid)
		line, err := os.ReadFile(filepath.Join(proc, "cmdline"))
		if err != nil {
			return nil, fmt.Errorf("look at process %d: %w", pid, err)
		}
		exe, err := os.Readlink(filepath.Join(proc, "exe"))
		if err != nil {
			return nil, fmt.Errorf("look at process %d: %w", pid, err)
		}
		dir, err := os.Readlink(filepath.Join(proc, "cwd"))
		if err != nil {
			return nil, fmt.Errorf("look at process %d: %w", pid, err)
		}
		s := &server{name: name, dir: dir, base: url, args: []string{exe}, pushPath: "/api/v1/write", readyPath: "/health", queryPath: "/api/v1/query", pid: pid}
		for _, arg := range bytes.Split(bytes.TrimSuffix(line, []byte{0}), []byte{0})[1:] {
			s.args = append(s.args, string(arg))
		}
		return s, nil
	}}
}

// up starts a peer, or takes over the one that runs.
func (s *server) up(ctx context.Context) error {
	if s.pid == 0 {
		_, err := s.start(ctx)
		return err
	}
	process, err := os.FindProcess(s.pid)
	if err != nil {
		return err
	}
	s.process, s.exited = process, make(chan error)
	go func(pid int, exited chan error) {
		for syscall.Kill(pid, 0) == nil {
			time.Sleep(2 * time.Millisecond)
		}
		close(exited)
	}(s.pid, s.exited)
	return s.ready(ctx)
}

package main

import (
	"fmt"
	"path/filepath"

	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// place is where processes are put: names, directories, ports.
type place struct {
	dir   string
	ports []int
}

func newPlace(dir string) (*place, error) {
	ports, err := proc.FreePorts(100)
	return &place{dir, ports}, err
}

func (p *place) port() (port int) {
	port, p.ports = p.ports[0], p.ports[1:]
	return port
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// server is a process with gRPC beside HTTP.
type server struct {
	proc.Process
	grpc string
}

// server puts a process that takes dskit's server flags, as Cortex and the ingester do.
func (p *place) server(name, binary string, args ...string) *server {
	http, grpc := p.port(), p.port()
	return &server{
		Process: proc.Process{
			Name: filepath.Base(name), Dir: filepath.Join(p.dir, name), Addr: local(http), ReadyPath: "/ready",
			Args: append([]string{
				binary,
				"-server.http-listen-address=127.0.0.1", fmt.Sprintf("-server.http-listen-port=%d", http),
				"-server.grpc-listen-address=127.0.0.1", fmt.Sprintf("-server.grpc-listen-port=%d", grpc),
			}, args...),
		},
		grpc: local(grpc),
	}
}

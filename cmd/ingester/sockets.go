package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
)

// sockets are the two that an ingester listens on.
type sockets struct{ http, grpc net.Listener }

// firstSocket is the first descriptor of those that a process is given.
const firstSocket = 3

// givenSockets returns the sockets that this process was started with, as systemd gives them: LISTEN_FDS of them from
// descriptor 3 on, HTTP's and then gRPC's, meant for the process LISTEN_PID. A supervisor does not know its child's number
// before it starts and names its own; so that number is this process's or its parent's. nil if there are none.
func givenSockets() (given *sockets, supervised bool, err error) {
	pid, n := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(name) // they are not for children
	}
	supervised = pid == strconv.Itoa(os.Getppid())
	if n == "" || !supervised && pid != strconv.Itoa(os.Getpid()) {
		return nil, false, nil
	}
	if n != "2" {
		return nil, supervised, fmt.Errorf("LISTEN_FDS=%s: two sockets are needed, that of HTTP and then that of gRPC", n)
	}
	http, err := givenSocket(firstSocket)
	grpc, err2 := givenSocket(firstSocket + 1)
	return &sockets{http, grpc}, supervised, errors.Join(err, err2)
}

func givenSocket(fd uintptr) (net.Listener, error) {
	f := os.NewFile(fd, fmt.Sprintf("descriptor %d", fd))
	defer f.Close() // FileListener has one of its own
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("%s (LISTEN_FDS) is no listening socket: %w", f.Name(), err)
	}
	return l, nil
}

// listen makes the sockets that the settings name.
func listen(o *options) (s *sockets, err error) {
	c := &o.Server
	s = new(sockets)
	if s.http, err = net.Listen(network(c.HTTPListenNetwork), net.JoinHostPort(c.HTTPListenAddress, strconv.Itoa(c.HTTPListenPort))); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if s.grpc, err = net.Listen(network(c.GRPCListenNetwork), net.JoinHostPort(c.GRPCListenAddress, strconv.Itoa(c.GRPCListenPort))); err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), s.http.Close())
	}
	return s, nil
}

func network(name string) string {
	if name == "" {
		return "tcp"
	}
	return name
}

//go:build interop

package main

import (
	"flag"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

var (
	outage       = flag.Duration("outage", 10*time.Second, "how long the store of the ring is away")
	consulBinary = flag.String("consul", "", "path of Consul's binary, built by the module bench/interop/consul")
)

// The life of a ring in a real etcd (Debian: etcd-server), which is made to hang for -outage.
func TestRingInEtcd(t *testing.T) {
	client, peer := "http://127.0.0.1:"+freePort(t), "http://127.0.0.1:"+freePort(t)
	addr := client[len("http://"):]
	away := startStore(t, addr, "etcd", "--data-dir", t.TempDir(), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer, "--log-level", "error")
	newCluster(t, "-ring.store=etcd", "-etcd.endpoints="+addr).life(away, *outage)
}

// The same in a real Consul.
func TestRingInRealConsul(t *testing.T) {
	if *consulBinary == "" {
		t.Fatal("-consul is needed: make ring-consul builds it")
	}
	http := freePort(t)
	addr := "127.0.0.1:" + http
	away := startStore(t, addr, *consulBinary, "agent", "-dev", "-log-level=error", "-bind=127.0.0.1", "-client=127.0.0.1", "-http-port="+http,
		"-server-port="+freePort(t), "-serf-lan-port="+freePort(t), "-serf-wan-port=-1", "-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1")
	newCluster(t, "-ring.store=consul", "-consul.hostname="+addr).life(away, *outage)
}

// startStore starts a server that will listen on addr. What it returns makes the server hang, and go on.
func startStore(t *testing.T, addr string, command ...string) (away func(bool)) {
	t.Helper()
	store := exec.Command(command[0], command[1:]...)
	store.Stderr = os.Stderr
	if err := store.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = store.Process.Kill()
		_ = store.Wait()
	})
	eventually(t, patience, command[0]+" listens", func() (bool, string) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false, err.Error()
		}
		_ = conn.Close()
		return true, ""
	})
	return func(gone bool) {
		s := syscall.SIGCONT
		if gone {
			s = syscall.SIGSTOP
		}
		if err := store.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
}

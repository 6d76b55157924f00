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

var outage = flag.Duration("outage", 10*time.Second, "how long the store of the ring is away")

// The life of a ring in a real etcd (Debian: etcd-server), which is made to hang for -outage.
func TestRingInEtcd(t *testing.T) {
	client, peer := "http://127.0.0.1:"+freePort(t), "http://127.0.0.1:"+freePort(t)
	etcd := exec.Command("etcd", "--data-dir", t.TempDir(), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer, "--log-level", "error")
	etcd.Stderr = os.Stderr
	if err := etcd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = etcd.Process.Kill()
		_ = etcd.Wait()
	})
	addr := client[len("http://"):]
	eventually(t, 20*time.Second, "etcd listens", func() (bool, string) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false, err.Error()
		}
		_ = conn.Close()
		return true, ""
	})
	away := func(gone bool) {
		s := syscall.SIGCONT
		if gone {
			s = syscall.SIGSTOP
		}
		if err := etcd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	newCluster(t, "-ring.store=etcd", "-etcd.endpoints="+addr).life(away, *outage)
}

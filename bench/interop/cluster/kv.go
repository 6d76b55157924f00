package main

import (
	"fmt"
	"path/filepath"

	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// kv is where the ring is. Cortex and the ingester get the same flags for it.
type kv interface {
	// flags are those of one more process.
	flags() []string
	// processes are those that the store itself consists of.
	processes() []*proc.Process
}

// etcd is a server of its own. Several rings can be in it.
type etcd struct {
	server *proc.Process
	prefix string
}

func newEtcd(p *place, binary, dir string) *etcd {
	client, peer := local(p.port()), local(p.port())
	return &etcd{&proc.Process{
		Name: "etcd", Dir: filepath.Join(p.dir, dir), Addr: client, ReadyPath: "/health",
		Args: []string{
			binary, "--data-dir=data", "--log-level=warn", "--logger=zap",
			"--listen-client-urls=http://" + client, "--advertise-client-urls=http://" + client,
			"--listen-peer-urls=http://" + peer, "--initial-advertise-peer-urls=http://" + peer, "--initial-cluster=default=http://" + peer,
		},
	}, "collectors/"}
}

// another is a second ring in the same server.
func (e *etcd) another(prefix string) *etcd { return &etcd{e.server, prefix} }

func (e *etcd) flags() []string {
	return []string{"-ring.store=etcd", "-etcd.endpoints=" + e.server.Addr, "-ring.prefix=" + e.prefix}
}

func (e *etcd) processes() []*proc.Process { return []*proc.Process{e.server} }

// gossip is all processes together. Each joins all, as behind the headless service that is usual in Kubernetes: who is killed
// together with all that it joins does not find the others again.
type gossip struct {
	ports []int
	given int
}

// newGossip is of at most so many processes.
func newGossip(p *place, n int) *gossip {
	g := &gossip{}
	for range n {
		g.ports = append(g.ports, p.port())
	}
	return g
}

func (g *gossip) flags() []string {
	own := g.ports[g.given]
	g.given++
	flags := []string{"-ring.store=memberlist", "-memberlist.bind-addr=127.0.0.1", fmt.Sprintf("-memberlist.bind-port=%d", own), "-memberlist.abort-if-join-fails=false"}
	for _, port := range g.ports {
		flags = append(flags, "-memberlist.join="+local(port))
	}
	return flags
}

func (g *gossip) processes() []*proc.Process { return nil }

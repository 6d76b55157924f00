package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/answers"
	"github.com/rekindledb/rekindle/bench/interop/proc"
)

const (
	tenant = "interop" // of what Prometheus sends and the ruler records

	// Heartbeats are more frequent than by default, so that a frozen ingester is found out sooner. The timeout is so much longer
	// than the store is gone: without a store Cortex calls everybody unhealthy after it.
	heartbeatPeriod = time.Second
	heartbeatSlack  = 8 * time.Second
)

// cluster is Cortex without its ingesters, and ingesters.
type cluster struct {
	name        string
	kv          kv
	storeOutage time.Duration
	replicas    int
	zoned       bool // one replica in each zone
	supervised  bool // ingesters have a parent that holds their sockets
	launched    bool

	ingesters                             []*ingester
	distributor, querier, frontend, ruler *server
}

// ingester is one of ours, or for comparison Cortex's own.
type ingester struct{ *server }

// components is how many processes a cluster has beside its ingesters.
const components = 4

// zones is how many a cluster with zones has; its ingesters are in them by turns.
const zones = 3

// newCluster puts an ingester for each letter of members: r is one of ours, c is Cortex's own. The flags are those of the ingesters.
func newCluster(o options, p *place, name, members string, store kv, flags ...string) *cluster {
	c := &cluster{name: name, kv: store, storeOutage: o.storeOutage, replicas: 3, zoned: len(members) > zones, supervised: slices.Contains(flags, "-supervise")}
	for i, kind := range members {
		zone := ""
		if c.zoned {
			zone = fmt.Sprintf("zone-%d", i%zones+1)
		}
		c.ingesters = append(c.ingesters, c.newIngester(o, p, fmt.Sprintf("ingester-%d", i+1), kind == 'c', append([]string{"-ingester.availability-zone=" + zone}, flags...)))
	}
	c.distributor = c.newCortex(o, p, "distributor")
	c.frontend = c.newCortex(o, p, "query-frontend")
	c.querier = c.newCortex(o, p, "querier",
		"-querier.frontend-address="+c.frontend.grpc,
		// Nothing that is asked here is old enough for the store.
		"-querier.query-store-after=6h", "-querier.store-gateway-addresses="+local(p.port()))
	c.ruler = c.newCortex(o, p, "ruler",
		"-querier.query-store-after=6h", "-querier.store-gateway-addresses="+local(p.port()),
		"-ruler.ring.store=inmemory", "-ruler.poll-interval=2s", "-ruler.rule-path=rule-path",
		"-ruler-storage.backend=local", "-ruler-storage.local.directory=rules")
	return c
}

// newCortex makes a component of Cortex. Flags are given only where there is no default that could run here.
func (c *cluster) newCortex(o options, p *place, target string, flags ...string) *server {
	s := p.server(filepath.Join(c.name, target), o.cortex, "-target="+target,
		"-blocks-storage.backend=filesystem", "-blocks-storage.filesystem.dir="+filepath.Join(p.dir, c.name, "blocks"),
		"-distributor.shard-by-all-labels=true", "-distributor.ingestion-rate-limit=1e6", "-distributor.ingestion-burst-size=1000000",
		"-ring.heartbeat-timeout="+(o.storeOutage+heartbeatSlack).String(), fmt.Sprintf("-distributor.replication-factor=%d", c.replicas), fmt.Sprintf("-distributor.zone-awareness-enabled=%t", c.zoned))
	s.Args = append(s.Args, c.kv.flags()...)
	s.Args = append(s.Args, flags...)
	s.ReadyTimeout = 2 * time.Minute // a dozen of them start at once
	return s
}

func (c *cluster) newIngester(o options, p *place, id string, stock bool, flags []string) *ingester {
	name := filepath.Join(c.name, id)
	ring := []string{"-ingester.lifecycler.ID=" + id, "-ingester.lifecycler.addr=127.0.0.1", "-ingester.heartbeat-period=" + heartbeatPeriod.String(), "-ring.heartbeat-timeout=" + (o.storeOutage + heartbeatSlack).String()}
	if !stock {
		ring = append(ring, c.kv.flags()...)
		i := &ingester{p.server(name, o.ingester, append(append(ring, "-auth.enabled=true"), flags...)...)}
		i.Supervised = c.supervised
		return i
	}
	// What is a default of ours.
	ring = append(ring, "-ingester.min-ready-duration=0s", "-ingester.final-sleep=0s", "-ingester.unregister-on-shutdown=false", "-ingester.tokens-file-path=tokens")
	i := &ingester{c.newCortex(o, p, "ingester", append(ring, flags...)...)}
	i.Name, i.Dir = id, filepath.Join(p.dir, name)
	return i
}

// prepare starts a cluster if it does not run, and gives it a number of replicas by restarting what depends on that.
func (c *cluster) prepare(ctx context.Context, replicas int) error {
	if !c.launched {
		if err := c.launch(); err != nil {
			return err
		}
		if err := c.await(ctx); err != nil {
			return err
		}
	}
	if c.replicas == replicas {
		return nil
	}
	c.replicas = replicas
	proc.Say("%s: replication factor %d", c.name, replicas)
	for _, s := range []*server{c.distributor, c.querier} {
		if err := s.Stop(); err != nil {
			return err
		}
		s.Args = append(s.Args, fmt.Sprintf("-distributor.replication-factor=%d", replicas))
		if _, err := s.Start(ctx); err != nil {
			return err
		}
	}
	return c.await(ctx)
}

// launch starts everything but the store, and waits for nothing.
func (c *cluster) launch() error {
	c.launched = true
	if err := writeRules(c.ruler.Dir); err != nil {
		return err
	}
	for _, p := range c.processes() {
		if err := p.Launch(); err != nil {
			return err
		}
	}
	return nil
}

// await waits until everything is ready and the distributor sees all ingesters ACTIVE.
func (c *cluster) await(ctx context.Context) error {
	for _, p := range c.processes() {
		if err := p.AwaitReady(ctx); err != nil {
			return err
		}
	}
	return c.awaitStates(ctx, "ACTIVE")
}

// processes are those of Cortex and the ingesters, without the store's.
func (c *cluster) processes() []*proc.Process {
	var all []*proc.Process
	for _, i := range c.ingesters {
		all = append(all, &i.Process)
	}
	for _, s := range []*server{c.distributor, c.frontend, c.querier, c.ruler} {
		all = append(all, &s.Process)
	}
	return all
}

// api is what a user asks.
func (c *cluster) api(tenant string) answers.API {
	return answers.API{Base: "http://" + c.frontend.Addr + "/prometheus", Tenant: tenant}
}

func (c *cluster) cleanUp() {
	for _, p := range append(c.processes(), c.kv.processes()...) {
		p.CleanUp()
	}
}

// showLogs prints the end of each log, errors and warnings only.
func (c *cluster) showLogs() {
	const lines = 4
	for _, p := range append(c.processes(), c.kv.processes()...) {
		text, err := os.ReadFile(p.LogFile())
		if err != nil {
			continue
		}
		var bad []string
		for line := range strings.Lines(string(text)) {
			for _, mark := range []string{"level=error", "level=warn", "level=ERROR", "level=WARN", "panic", "fatal"} {
				if strings.Contains(line, mark) {
					bad = append(bad, strings.TrimSpace(line))
					break
				}
			}
		}
		for _, line := range bad[max(0, len(bad)-lines):] {
			proc.Say("%s, %s: %.250s", c.name, p.Name, line)
		}
	}
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// cluster is everything that runs: who is scraped, who scrapes, and who is written to.
type cluster struct {
	node       *process
	prometheus *process
	receivers  []*receiver
}

// receiver is a server that Prometheus writes to and whose answers are compared with Prometheus's own.
type receiver struct {
	process
	protocol protocol
	writeURL string
	api      api
}

// protocol is a version of remote write. The two receivers use different ones of the paths that mean the
// same, so that more of them are seen.
type protocol struct{ name, message, writePath, queryPrefix string }

var protocols = []protocol{
	{"remote write 1.0", "prometheus.WriteRequest", "/api/v1/push", "/prometheus"},
	{"remote write 2.0", "io.prometheus.write.v2.Request", "/api/v1/write", "/api/prom"},
}

func newCluster(o options) (*cluster, error) {
	ports, err := freePorts(2 + 2*len(protocols))
	if err != nil {
		return nil, err
	}
	port := func() (p int) {
		p, ports = ports[0], ports[1:]
		return p
	}
	newProcess := func(name string, port int, readyPath string, args ...string) process {
		return process{name: name, dir: filepath.Join(o.dir, name), addr: fmt.Sprintf("127.0.0.1:%d", port), readyPath: readyPath, args: args}
	}
	newPrometheus := func(name string, port int, args ...string) process {
		p := newProcess(name, port, "/-/ready", o.prometheus, fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port),
			"--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=info")
		p.args = append(p.args, args...)
		return p
	}

	c := &cluster{}
	nodePort := port()
	node := newProcess("node-exporter", nodePort, "/metrics", o.nodeExporter, fmt.Sprintf("--web.listen-address=127.0.0.1:%d", nodePort))
	prometheus := newPrometheus("prometheus", port())
	c.node, c.prometheus = &node, &prometheus
	for i, protocol := range protocols {
		name, httpPort, grpcPort := fmt.Sprintf("ingester-%d", i+1), port(), port()
		r := &receiver{protocol: protocol}
		if o.selfCheck {
			r.process = newPrometheus(name, httpPort, "--web.enable-remote-write-receiver")
			r.writeURL, r.api.base = "http://"+r.addr+"/api/v1/write", "http://"+r.addr
		} else {
			r.process = newProcess(name, httpPort, "/ready", o.ingester,
				"-server.http-listen-address=127.0.0.1", fmt.Sprintf("-server.http-listen-port=%d", httpPort),
				"-server.grpc-listen-address=127.0.0.1", fmt.Sprintf("-server.grpc-listen-port=%d", grpcPort))
			r.writeURL, r.api.base = "http://"+r.addr+protocol.writePath, "http://"+r.addr+protocol.queryPrefix
		}
		c.receivers = append(c.receivers, r)
	}
	return c, nil
}

// start runs everything, the receivers first, and writes Prometheus's configuration.
func (c *cluster) start(ctx context.Context) error {
	if err := writeConfig(c.prometheus, c.config()); err != nil {
		return err
	}
	processes := []*process{c.node}
	for _, r := range c.receivers {
		// Only a Prometheus in the receiver's place reads it.
		if err := writeConfig(&r.process, "global: {}\n"); err != nil {
			return err
		}
		processes = append(processes, &r.process)
	}
	for _, p := range append(processes, c.prometheus) {
		took, err := p.start(ctx)
		if err != nil {
			return err
		}
		say("%s is ready on %s after %v", p.name, p.addr, took.Round(time.Millisecond))
	}
	return nil
}

func writeConfig(p *process, text string) error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, "prometheus.yml"), []byte(text), 0o644)
}

// config scrapes everything each second. Native histograms are off, because the ingester keeps floats. The
// queue sends ten times a second, so that a kill is likely to hit a push, and retries each second at least.
func (c *cluster) config() string {
	var b strings.Builder
	b.WriteString("global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  scrape_native_histograms: false\nscrape_configs:\n")
	job := func(name string, addrs ...string) {
		fmt.Fprintf(&b, "  - job_name: %s\n    static_configs:\n      - targets: [%s]\n", name, strings.Join(addrs, ", "))
	}
	job("node", c.node.addr)
	job("prometheus", c.prometheus.addr)
	job("ingester", c.receivers[0].addr, c.receivers[1].addr)
	b.WriteString("remote_write:\n")
	for _, r := range c.receivers {
		fmt.Fprintf(&b, "  - name: %s\n    url: %s\n    protobuf_message: %s\n    queue_config:\n      batch_send_deadline: 100ms\n      max_backoff: 1s\n",
			r.name, r.writeURL, r.protocol.message)
	}
	return b.String()
}

func (c *cluster) cleanUp() {
	c.prometheus.cleanUp()
	c.node.cleanUp()
	for _, r := range c.receivers {
		r.cleanUp()
	}
}

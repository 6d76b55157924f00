package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/answers"
	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// cluster is everything that runs: who is scraped, who scrapes, and who is written to.
type cluster struct {
	node       *proc.Process
	prometheus *proc.Process
	receivers  []*receiver
}

// receiver is a server that Prometheus writes to and whose answers are compared with Prometheus's own.
type receiver struct {
	proc.Process
	protocol protocol
	writeURL string
	api      answers.API
}

// protocol is a version of remote write. The two receivers use different ones of the paths that mean the
// same, so that more of them are seen.
type protocol struct{ name, message, writePath, queryPrefix string }

var protocols = []protocol{
	{"remote write 1.0", "prometheus.WriteRequest", "/api/v1/push", "/prometheus"},
	{"remote write 2.0", "io.prometheus.write.v2.Request", "/api/v1/write", "/api/prom"},
}

func newCluster(o options) (*cluster, error) {
	ports, err := proc.FreePorts(2 + 2*len(protocols))
	if err != nil {
		return nil, err
	}
	port := func() (p int) {
		p, ports = ports[0], ports[1:]
		return p
	}
	newProcess := func(name string, port int, readyPath string, args ...string) proc.Process {
		return proc.Process{Name: name, Dir: filepath.Join(o.dir, name), Addr: fmt.Sprintf("127.0.0.1:%d", port), ReadyPath: readyPath, Args: args}
	}
	newPrometheus := func(name string, port int, args ...string) proc.Process {
		p := newProcess(name, port, "/-/ready", o.prometheus, fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port),
			"--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=info")
		p.Args = append(p.Args, args...)
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
			r.Process = newPrometheus(name, httpPort, "--web.enable-remote-write-receiver")
			r.writeURL, r.api.Base = "http://"+r.Addr+"/api/v1/write", "http://"+r.Addr
		} else {
			r.Process = newProcess(name, httpPort, "/ready", o.ingester,
				"-server.http-listen-address=127.0.0.1", fmt.Sprintf("-server.http-listen-port=%d", httpPort),
				"-server.grpc-listen-address=127.0.0.1", fmt.Sprintf("-server.grpc-listen-port=%d", grpcPort))
			r.writeURL, r.api.Base = "http://"+r.Addr+protocol.writePath, "http://"+r.Addr+protocol.queryPrefix
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
	processes := []*proc.Process{c.node}
	for _, r := range c.receivers {
		// Only a Prometheus in the receiver's place reads it.
		if err := writeConfig(&r.Process, "global: {}\n"); err != nil {
			return err
		}
		processes = append(processes, &r.Process)
	}
	for _, p := range append(processes, c.prometheus) {
		took, err := p.Start(ctx)
		if err != nil {
			return err
		}
		proc.Say("%s is ready on %s after %v", p.Name, p.Addr, took.Round(time.Millisecond))
	}
	return nil
}

func writeConfig(p *proc.Process, text string) error {
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.Dir, "prometheus.yml"), []byte(text), 0o644)
}

// config scrapes everything each second. Native histograms are off, because the ingester keeps floats. The
// queue sends ten times a second, so that a kill is likely to hit a push, and retries each second at least.
func (c *cluster) config() string {
	var b strings.Builder
	b.WriteString("global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  scrape_native_histograms: false\nscrape_configs:\n")
	job := func(name string, addrs ...string) {
		fmt.Fprintf(&b, "  - job_name: %s\n    static_configs:\n      - targets: [%s]\n", name, strings.Join(addrs, ", "))
	}
	job("node", c.node.Addr)
	job("prometheus", c.prometheus.Addr)
	job("ingester", c.receivers[0].Addr, c.receivers[1].Addr)
	b.WriteString("remote_write:\n")
	for _, r := range c.receivers {
		fmt.Fprintf(&b, "  - name: %s\n    url: %s\n    protobuf_message: %s\n    queue_config:\n      batch_send_deadline: 100ms\n      max_backoff: 1s\n",
			r.Name, r.writeURL, r.protocol.message)
	}
	return b.String()
}

func (c *cluster) cleanUp() {
	c.prometheus.CleanUp()
	c.node.CleanUp()
	for _, r := range c.receivers {
		r.CleanUp()
	}
}

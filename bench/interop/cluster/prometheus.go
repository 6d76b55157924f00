package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rekindledb/rekindle/bench/interop/answers"
	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// sender is the Prometheus whose answers count, and what it scrapes beside itself.
type sender struct {
	prometheus, node proc.Process
	clusters         []*cluster // what it writes to; it scrapes the ingesters of the first
}

// jobs is how many the configuration has.
const jobs = 3

func newSender(o options, p *place, clusters []*cluster) *sender {
	s := &sender{clusters: clusters}
	node, prometheus := local(p.port()), local(p.port())
	s.node = proc.Process{
		Name: "node-exporter", Dir: filepath.Join(p.dir, "node-exporter"), Addr: node, ReadyPath: "/metrics",
		Args: []string{o.nodeExporter, "--web.listen-address=" + node},
	}
	s.prometheus = proc.Process{
		Name: "prometheus", Dir: filepath.Join(p.dir, "prometheus"), Addr: prometheus, ReadyPath: "/-/ready",
		Args: []string{o.prometheus, "--web.listen-address=" + prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=data"},
	}
	return s
}

func (s *sender) start(ctx context.Context) error {
	if err := os.MkdirAll(s.prometheus.Dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.prometheus.Dir, "prometheus.yml"), []byte(s.config()), 0o644); err != nil {
		return err
	}
	for _, p := range []*proc.Process{&s.node, &s.prometheus} {
		if _, err := p.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// config scrapes everything each second. Native histograms are off, because the ingester keeps floats.
func (s *sender) config() string {
	var b strings.Builder
	b.WriteString("global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  scrape_native_histograms: false\nscrape_configs:\n")
	job := func(name string, addrs ...string) {
		fmt.Fprintf(&b, "  - job_name: %s\n    static_configs:\n      - targets: [%s]\n", name, strings.Join(addrs, ", "))
	}
	job("node", s.node.Addr)
	job("prometheus", s.prometheus.Addr)
	job("ingester", s.clusters[0].ingesters[0].Addr, s.clusters[0].ingesters[1].Addr)
	b.WriteString("remote_write:\n")
	for _, c := range s.clusters {
		fmt.Fprintf(&b, "  - name: %s\n    url: http://%s/api/v1/push\n    headers: {X-Scope-OrgID: %s}\n", c.name, c.distributor.Addr, tenant)
		b.WriteString("    queue_config: {batch_send_deadline: 500ms, max_backoff: 1s}\n    metadata_config: {send_interval: 10s}\n")
	}
	return b.String()
}

func (s *sender) api() answers.API { return answers.API{Base: "http://" + s.prometheus.Addr} }

func (s *sender) cleanUp() {
	s.prometheus.CleanUp()
	s.node.CleanUp()
}

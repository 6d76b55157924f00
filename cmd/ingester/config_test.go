package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A newcomer gives no flags: data is safe, in ./data, on a port that needs no privileges.
func TestDefaults(t *testing.T) {
	o, err := load(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := o.Ingester.WAL
	if !w.Enabled || !w.Recover || !w.CheckpointEnabled || w.Dir != "./data" || w.CheckpointDuration != 5*time.Minute || w.Sync != syncInterval {
		t.Errorf("WAL: %+v", w)
	}
	if o.Server.HTTPListenPort != 8080 || o.Server.GRPCListenPort != 9095 || o.AuthEnabled || o.NoAuthTenant != "anonymous" {
		t.Errorf("ports %d and %d, auth %v, tenant %q", o.Server.HTTPListenPort, o.Server.GRPCListenPort, o.AuthEnabled, o.NoAuthTenant)
	}
	if w := o.warnings(); len(w) != 0 {
		t.Error(w)
	}
	// What Cortex's distributors do by default must not be refused: messages of 16 MiB, pings every 20 s.
	if s := o.Server; s.GRPCServerMaxRecvMsgSize < 16<<20 || s.GRPCServerMinTimeBetweenPings > 20*time.Second || !s.GRPCServerPingWithoutStreamAllowed || s.GRPCServerMaxConcurrentStreams < 1000 {
		t.Errorf("gRPC: %d %v %v %d", s.GRPCServerMaxRecvMsgSize, s.GRPCServerMinTimeBetweenPings, s.GRPCServerPingWithoutStreamAllowed, s.GRPCServerMaxConcurrentStreams)
	}
}

// The flags of the documents are taken as they are written there, with one dash or two.
func TestDocumentedFlags(t *testing.T) {
	o, err := load([]string{
		"--ingester.wal-enabled=true", "--ingester.wal-dir=/mnt/wal", "--ingester.checkpoint-enabled=true",
		"--ingester.checkpoint-duration=30m", "--ingester.recover-from-wal=true",
		"-ingester.tokens-file-path=/mnt/tokens", "-ingester.ring.tokens-file-path", "/mnt/tokens",
		"-ingester.join-after=10s", "-ingester.max-transfer-retries=0",
		"-auth.multitenancy-enabled",
	})
	if err != nil {
		t.Fatal(err)
	}
	w := o.Ingester.WAL
	if w.Dir != "/mnt/wal" || w.CheckpointDuration != 30*time.Minute || !o.AuthEnabled {
		t.Errorf("%+v auth %v", w, o.AuthEnabled)
	}
	if got := o.warnings(); len(got) != 0 {
		t.Errorf("warnings: %q", got)
	}
}

// Flags win over the file, the file over defaults, whatever the order; the shape of the file is Cortex's.
func TestFileUnderFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cortex.yaml")
	if err := os.WriteFile(file, []byte(`
auth_enabled: true
server:
  http_listen_port: 9009
  log_level: warn
ingester:
  walconfig:
    wal_dir: /from/file
    checkpoint_duration: 15m
limits:
  creation_grace_period: 5m
`), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := load([]string{"-server.http-listen-port=9010", "-config.file", file, "-auth.enabled=false"})
	if err != nil {
		t.Fatal(err)
	}
	w := o.Ingester.WAL
	if o.Server.HTTPListenPort != 9010 || o.AuthEnabled || w.Dir != "/from/file" || w.CheckpointDuration != 15*time.Minute || !w.Enabled ||
		o.Limits.CreationGracePeriod != 5*time.Minute || o.Server.LogLevel.String() != "warn" || o.Server.GRPCListenPort != 9095 {
		t.Errorf("%+v", o.Config)
	}
}

// All faults are named at once, and the exit code says that restarting does not help.
func TestEveryFaultAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(file, []byte("ingester:\n  walconfig:\n    wal_dirr: x\nservr: {}\nlimits:\n  creation_grace_period: soon\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := start(context.Background(), []string{
		"-config.file=" + file,
		"-no.such.flag", "value", "-server.http-listen-port=eighty", "-ingester.wal-enabled", "false",
		"-ingester.wal-sync=sometimes", "-ingester.checkpoint-duration=0", "-auth.no-auth-tenant=@rekindle",
		"-distributor.max-recv-msg-size=1000000000", "-nor.this", "extra",
	}, &stdout, &stderr)
	if code != exitUsage || stdout.Len() != 0 {
		t.Errorf("exit code %d, stdout %q", code, &stdout)
	}
	for _, want := range []string{
		"wal_dirr", "servr", "soon", "no.such.flag", "eighty", "-flag=false", "-ingester.wal-sync", "-ingester.checkpoint-duration",
		"-auth.no-auth-tenant", "max-inflight-push-requests-bytes", "nor.this",
	} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("not named: %s in\n%s", want, &stderr)
		}
	}
	if strings.Contains(stderr.String(), `"value"`) {
		t.Errorf("the value of an unknown flag is called a fault:\n%s", &stderr)
	}
}

// -help and -version are no faults.
func TestHelpAndVersion(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := start(context.Background(), []string{"-help"}, &stdout, &stderr); code != exitOK || !strings.Contains(stdout.String(), "-ingester.wal-dir") || stderr.Len() != 0 {
		t.Errorf("-help: %d %q", code, &stderr)
	}
	stdout.Reset()
	if code := start(context.Background(), []string{"-version"}, &stdout, &stderr); code != exitOK || !strings.HasPrefix(stdout.String(), "rekindle, version ") {
		t.Errorf("-version: %d %q", code, &stdout)
	}
	if _, err := load([]string{"-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
}

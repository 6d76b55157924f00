package cortex

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cortexproject/cortex/pkg/ingester/client"
	"github.com/stretchr/testify/require"
	"github.com/weaveworks/common/user"
)

var binary = flag.String("ingester", "../../../bin/ingester", "the ingester's binary")

// process is an ingester with a directory and ports of its own.
type process struct {
	http, grpc, dir string
	cmd             *exec.Cmd
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// startIngester returns when the ingester is ready.
func startIngester(t testing.TB, flags ...string) *process {
	t.Helper()
	p := &process{http: freeAddress(t), grpc: freeAddress(t), dir: t.TempDir()}
	p.start(t, flags...)
	t.Cleanup(func() { p.end(t, syscall.SIGTERM) })
	return p
}

func (p *process) start(t testing.TB, flags ...string) {
	t.Helper()
	path, err := filepath.Abs(*binary)
	require.NoError(t, err)
	httpHost, httpPort, _ := net.SplitHostPort(p.http)
	grpcHost, grpcPort, _ := net.SplitHostPort(p.grpc)
	p.cmd = exec.Command(path, append([]string{
		"-server.http-listen-address=" + httpHost, "-server.http-listen-port=" + httpPort,
		"-server.grpc-listen-address=" + grpcHost, "-server.grpc-listen-port=" + grpcPort,
		"-ingester.wal-dir=" + filepath.Join(p.dir, "data"),
	}, flags...)...)
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	require.NoError(t, p.cmd.Start())
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + p.http + "/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 20*time.Second, 5*time.Millisecond, "%s", p)
}

// end sends a signal and waits until the process is gone.
func (p *process) end(t testing.TB, s os.Signal) {
	t.Helper()
	if p.cmd.ProcessState == nil {
		require.NoError(t, p.cmd.Process.Signal(s))
		_ = p.cmd.Wait()
	}
}

func (p *process) String() string {
	b, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return fmt.Sprintf("the ingester's log:\n%s", b)
}

// dial makes the client that distributors and queriers have, with its flags' defaults but for the compression.
func (p *process) dial(t testing.TB, compression string, pushStreams bool) client.HealthAndIngesterClient {
	t.Helper()
	var cfg client.Config
	cfg.RegisterFlags(flag.NewFlagSet("", flag.PanicOnError))
	cfg.GRPCClientConfig.GRPCCompression = compression
	c, err := client.MakeIngesterClient(p.grpc, cfg, pushStreams)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func as(tenant string) context.Context {
	return user.InjectOrgID(context.Background(), tenant)
}

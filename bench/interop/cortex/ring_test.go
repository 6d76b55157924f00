package cortex

import (
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cortexproject/cortex/pkg/ring"
	"github.com/cortexproject/cortex/pkg/ring/kv/codec"
	"github.com/cortexproject/cortex/pkg/ring/kv/memberlist"
	"github.com/cortexproject/cortex/pkg/util/services"
	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// stockMember is Cortex's own ingester lifecycler, and a distributor's view of the ring, over Cortex's own gossip.
type stockMember struct {
	life *ring.Lifecycler
	ring *ring.Ring
	addr string // of its gossip
}

type noDNS struct{}

func (noDNS) Resolve(context.Context, []string, bool) error { return nil }
func (noDNS) Addresses() []string                           { return nil }

func startStockMember(t *testing.T, id string) *stockMember {
	t.Helper()
	var gossip memberlist.KVConfig
	var life ring.LifecyclerConfig
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	gossip.RegisterFlags(fs)
	life.RegisterFlags(fs)
	addr := freeAddress(t)
	_, port, _ := net.SplitHostPort(addr)
	require.NoError(t, fs.Parse([]string{
		"-memberlist.bind-addr=127.0.0.1", "-memberlist.bind-port=" + port, "-memberlist.gossip-interval=50ms",
		"-ring.store=memberlist", "-ring.heartbeat-timeout=3s", "-distributor.replication-factor=1",
		"-ingester.heartbeat-period=200ms", "-ingester.final-sleep=0", "-ingester.min-ready-duration=0",
		"-ingester.lifecycler.ID=" + id, "-ingester.lifecycler.addr=127.0.0.1", "-ingester.lifecycler.port=1",
	}))
	gossip.Codecs = []codec.Codec{ring.GetCodec()}
	reg := prometheus.NewRegistry()
	kv := memberlist.NewKV(gossip, log.NewNopLogger(), noDNS{}, reg)
	require.NoError(t, services.StartAndAwaitRunning(t.Context(), kv))
	life.RingConfig.KVStore.MemberlistKV = func() (*memberlist.KV, error) { return kv, nil }

	m := &stockMember{addr: addr}
	var err error
	m.life, err = ring.NewLifecycler(life, nil, "ingester", "ring", true, false, log.NewNopLogger(), reg)
	require.NoError(t, err)
	require.NoError(t, services.StartAndAwaitRunning(t.Context(), m.life))
	m.ring, err = ring.New(life.RingConfig, "ingester", "ring", log.NewNopLogger(), reg)
	require.NoError(t, err)
	require.NoError(t, services.StartAndAwaitRunning(t.Context(), m.ring))
	t.Cleanup(func() {
		for _, s := range []services.Service{m.ring, m.life, kv} {
			_ = services.StopAndAwaitTerminated(context.Background(), s)
		}
	})
	return m
}

// sees waits until the distributor has an instance in a state.
func (m *stockMember) sees(t *testing.T, id string, state ring.InstanceState) {
	t.Helper()
	require.Eventually(t, func() bool {
		s, err := m.ring.GetInstanceState(id)
		return err == nil && s == state
	}, 10*time.Second, 10*time.Millisecond, "%s is not %s to Cortex", id, state)
}

// oursSees waits until our page has an instance in a state.
func oursSees(t *testing.T, p *process, id, state string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return strings.Contains(ringPage(p), `{"id":"`+id+`","state":"`+state+`"`)
	}, 10*time.Second, 10*time.Millisecond, "%s is not %s to us: %s", id, state, ringPage(p))
}

func ringPage(p *process) string {
	req, err := http.NewRequest(http.MethodGet, "http://"+p.http+"/ring", nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// writers are the ids that a distributor may send to now.
func (m *stockMember) writers(t *testing.T) map[string]ring.InstanceDesc {
	t.Helper()
	set, err := m.ring.GetInstanceDescsForOperation(ring.Write)
	require.NoError(t, err)
	return set
}

// An ingester of ours and one of Cortex in one ring over gossip: each sees the other's states, READONLY included; a
// distributor sends to both and stops when it should; kills and clean restarts keep tokens and the time of registration.
func TestMixedRing(t *testing.T) {
	stock := startStockMember(t, "stock")
	_, port, _ := net.SplitHostPort(freeAddress(t))
	flags := []string{
		"-ring.store=memberlist", "-memberlist.bind-addr=127.0.0.1", "-memberlist.bind-port=" + port, "-memberlist.join=" + stock.addr,
		"-memberlist.gossip-interval=50ms", "-ring.heartbeat-timeout=3s", "-ingester.heartbeat-period=200ms",
		"-ingester.lifecycler.ID=ours", "-ingester.lifecycler.addr=127.0.0.1",
	}
	p := startIngester(t, flags...)
	stock.sees(t, "ours", ring.ACTIVE)
	oursSees(t, p, "stock", "ACTIVE")
	born := stock.writers(t)["ours"]
	require.Len(t, born.Tokens, 128)
	require.Equal(t, p.grpc, born.Addr)
	require.Len(t, stock.writers(t), 2)

	post := func(path string, code int) {
		t.Helper()
		resp, err := http.Post("http://"+p.http+path, "", nil)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, code, resp.StatusCode)
	}
	post("/ingester/mode?mode=READONLY", 200)
	stock.sees(t, "ours", ring.READONLY)
	require.NotContains(t, stock.writers(t), "ours")
	post("/ingester/mode?mode=ACTIVE", 200)
	stock.sees(t, "ours", ring.ACTIVE)
	require.NoError(t, stock.life.ChangeState(t.Context(), ring.READONLY))
	oursSees(t, p, "stock", "READONLY")
	require.NoError(t, stock.life.ChangeState(t.Context(), ring.ACTIVE))
	oursSees(t, p, "stock", "ACTIVE")
	born = stock.writers(t)["ours"]

	for _, s := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		p.end(t, s)
		if s == syscall.SIGTERM {
			stock.sees(t, "ours", ring.LEAVING)
			require.NotContains(t, stock.writers(t), "ours")
		}
		p.start(t, flags...)
		stock.sees(t, "ours", ring.ACTIVE)
		now := stock.writers(t)["ours"]
		require.Equal(t, born.Tokens, now.Tokens)
		require.Equal(t, born.RegisteredTimestamp, now.RegisteredTimestamp)
	}
	require.Contains(t, ringPage(p), `"zone":"","tokens":[`+strconv.FormatUint(uint64(born.Tokens[0]), 10))

	post("/shutdown", 204)
	require.Eventually(t, func() bool {
		_, err := stock.ring.GetInstanceState("ours")
		return err != nil
	}, 10*time.Second, 10*time.Millisecond, "ours is still in Cortex's ring")
}

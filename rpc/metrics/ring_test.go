package metrics

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/grafana/dskit/kv/consul"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rekindledb/rekindle/rpc/lifecycle"
	"github.com/rekindledb/rekindle/rpc/ring"
)

// The ring's metrics count members by state and zone, call those Unhealthy whose heartbeats are old, and add up to the whole
// key space; what there is one of for each member is left out if it is not asked for.
func TestRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, closer := consul.NewInMemoryClient(ring.Codec{}, log.NewNopLogger(), nil)
		defer closer.Close()
		now := time.Now().Unix()
		d := ring.NewDesc()
		d.Instances["b"] = ring.Instance{State: ring.Leaving, Zone: "z2", Tokens: []uint32{1 << 30}, Timestamp: now}
		d.Instances["c"] = ring.Instance{State: ring.Active, Zone: "z2", Tokens: []uint32{1 << 31}, Timestamp: now - 100}
		if err := store.Put(t.Context(), ring.Key, d); err != nil {
			t.Fatal(err)
		}
		l := lifecycle.New(lifecycle.Config{
			Addr: "a:1", Zone: "z1", KV: store, NumTokens: 4, HeartbeatTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
		})
		if err := l.Start("a"); err != nil {
			t.Fatal(err)
		}
		defer l.Stop()
		if err := l.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(NewRing(l, true))
		if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP cortex_ring_members Members of the ring by state; Unhealthy: their last heartbeat is too old, whatever their state.
# TYPE cortex_ring_members gauge
cortex_ring_members{name="ingester",state="ACTIVE",zone="z1"} 1
cortex_ring_members{name="ingester",state="ACTIVE",zone="z2"} 0
cortex_ring_members{name="ingester",state="JOINING",zone="z1"} 0
cortex_ring_members{name="ingester",state="JOINING",zone="z2"} 0
cortex_ring_members{name="ingester",state="LEAVING",zone="z1"} 0
cortex_ring_members{name="ingester",state="LEAVING",zone="z2"} 1
cortex_ring_members{name="ingester",state="PENDING",zone="z1"} 0
cortex_ring_members{name="ingester",state="PENDING",zone="z2"} 0
cortex_ring_members{name="ingester",state="READONLY",zone="z1"} 0
cortex_ring_members{name="ingester",state="READONLY",zone="z2"} 0
cortex_ring_members{name="ingester",state="Unhealthy",zone="z1"} 0
cortex_ring_members{name="ingester",state="Unhealthy",zone="z2"} 1
# HELP cortex_ring_tokens_total Tokens of all members.
# TYPE cortex_ring_tokens_total gauge
cortex_ring_tokens_total{name="ingester"} 6
# HELP cortex_member_ring_tokens_owned Tokens of this instance.
# TYPE cortex_member_ring_tokens_owned gauge
cortex_member_ring_tokens_owned{name="ingester"} 4
`), "cortex_ring_members", "cortex_ring_tokens_total", "cortex_member_ring_tokens_owned"); err != nil {
			t.Error(err)
		}
		whole := 0.0
		for _, part := range l.Ring().Ownership() {
			whole += part
		}
		if whole < 0.999999 || whole > 1.000001 {
			t.Errorf("the members own %v of the ring", whole)
		}
		terse := prometheus.NewPedanticRegistry()
		terse.MustRegister(NewRing(l, false))
		if n, err := testutil.GatherAndCount(terse, "cortex_ring_tokens_owned", "cortex_ring_member_ownership_percent"); err != nil || n > 0 {
			t.Errorf("%d metrics of members, %v", n, err)
		}
	})
}

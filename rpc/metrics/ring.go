package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rekindledb/rekindle/rpc/lifecycle"
	"github.com/rekindledb/rekindle/rpc/ring"
)

// ringName is the value of the label name: Cortex has several rings.
const ringName = "ingester"

var (
	ringMembers   = describe("cortex_ring_members", "Members of the ring by state; Unhealthy: their last heartbeat is too old, whatever their state.", "name", "state", "zone")
	ringOldest    = describe("cortex_ring_oldest_member_timestamp", "Oldest heartbeat of the members in a state.", "name", "state")
	ringTokens    = describe("cortex_ring_tokens_total", "Tokens of all members.", "name")
	ringOwned     = describe("cortex_ring_tokens_owned", "Tokens of a member.", "name", "member")
	ringOwnership = describe("cortex_ring_member_ownership_percent", "Part of the key space that a member owns, in percent.", "name", "member")

	memberTokens      = describe("cortex_member_ring_tokens_owned", "Tokens of this instance.", "name")
	memberTokensToOwn = describe("cortex_member_ring_tokens_to_own", "Tokens that this instance is to have.", "name")
	memberHeartbeats  = describe("cortex_member_consul_heartbeats_total", "Times this instance wrote its entry into the ring, whatever store that is in.", "name")
	memberReadOnly    = describe("cortex_lifecycler_read_only", "1 if this instance is READONLY.", "name")
)

// Unhealthy is how a member is shown whose last heartbeat is too old.
const Unhealthy = "Unhealthy"

// Ring shows the ring as this instance last saw it, and this instance.
type Ring struct {
	life     *lifecycle.Lifecycler
	detailed bool
}

var _ prometheus.Collector = (*Ring)(nil)

// NewRing returns a collector. detailed adds what there is one of for every member.
func NewRing(l *lifecycle.Lifecycler, detailed bool) *Ring { return &Ring{life: l, detailed: detailed} }

// Describe implements prometheus.Collector.
func (*Ring) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ringMembers, ringOldest, ringTokens, ringOwned, ringOwnership, memberTokens, memberTokensToOwn, memberHeartbeats, memberReadOnly} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (r *Ring) Collect(to chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, v, append([]string{ringName}, labels...)...)
	}
	n := r.life.Numbers()
	send(memberTokens, prometheus.GaugeValue, float64(n.Tokens))
	send(memberTokensToOwn, prometheus.GaugeValue, float64(n.TokensToOwn))
	send(memberHeartbeats, prometheus.CounterValue, float64(n.Heartbeats))
	readOnly := 0.0
	if n.ReadOnly {
		readOnly = 1
	}
	send(memberReadOnly, prometheus.GaugeValue, readOnly)

	d := r.life.Ring()
	type place struct{ state, zone string }
	members, oldest, tokens := map[place]int{}, map[string]int64{}, 0
	// Every state is there from the start, as in Cortex: an alert on Unhealthy has to see 0 first.
	for _, s := range []ring.State{ring.Active, ring.Leaving, ring.Pending, ring.Joining, ring.ReadOnly} {
		oldest[s.String()] = 0
	}
	oldest[Unhealthy] = 0
	zones := map[string]bool{}
	for _, in := range d.Instances {
		zones[in.Zone] = true
	}
	for zone := range zones {
		for s := range oldest {
			members[place{s, zone}] = 0
		}
	}
	now := time.Now()
	for _, in := range d.Instances {
		s := in.State.String()
		if !in.Healthy(now, r.life.HeartbeatTimeout()) {
			s = Unhealthy
		}
		members[place{s, in.Zone}]++
		if t := oldest[s]; t == 0 || in.Timestamp < t {
			oldest[s] = in.Timestamp
		}
		tokens += len(in.Tokens)
	}
	for p, n := range members {
		send(ringMembers, prometheus.GaugeValue, float64(n), p.state, p.zone)
	}
	for s, t := range oldest {
		send(ringOldest, prometheus.GaugeValue, float64(t), s)
	}
	send(ringTokens, prometheus.GaugeValue, float64(tokens))
	if !r.detailed {
		return
	}
	parts := d.Ownership()
	for id, in := range d.Instances {
		send(ringOwned, prometheus.GaugeValue, float64(len(in.Tokens)), id)
		send(ringOwnership, prometheus.GaugeValue, 100*parts[id], id)
	}
}

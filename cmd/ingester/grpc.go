package main

import (
	"time"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/grpcsrv"
)

// What cortex.Ingester asks of the engine beyond what HTTP does.
var _ grpcsrv.Store = (*store)(nil)

// Tenants implements grpcsrv.Store.
func (s *store) Tenants() []string {
	all := s.engine.Tenants()
	ids := make([]string, len(all))
	for i, t := range all {
		ids[i] = t.ID()
	}
	return ids
}

// Stats implements grpcsrv.Store.
func (s *store) Stats(tenant string, st *engine.Stats) bool {
	t := s.engine.Tenant(tenant)
	if t == nil {
		return false
	}
	t.Stats(st)
	return true
}

// activeFor is how recent a series' newest sample is if the series is active: Cortex's default of
// -ingester.active-series-metrics-idle-timeout.
const activeFor = 10 * time.Minute

// Active implements grpcsrv.Store.
func (s *store) Active(tenant string) uint64 {
	t := s.engine.Tenant(tenant)
	if t == nil {
		return 0
	}
	return t.Active(time.Now().Add(-activeFor).UnixMilli())
}

package main

import (
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

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// member is an entry of the ring as the distributor's page shows it.
type member struct {
	ID         string   `json:"id"`
	State      string   `json:"state"` // Unhealthy if the heartbeats are missing, whatever the entry says
	Address    string   `json:"address"`
	Heartbeat  string   `json:"timestamp"`
	Registered string   `json:"registered_timestamp"`
	Tokens     []uint32 `json:"tokens"`
}

// ring reads the distributor's page.
func (c *cluster) ring(ctx context.Context) (map[string]member, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.distributor.Addr+"/ring", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var page struct {
		Shards []member `json:"shards"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return nil, fmt.Errorf("read the distributor's page of the ring: %w", err)
	}
	members := map[string]member{}
	for _, m := range page.Shards {
		members[m.ID] = m
	}
	return members, nil
}

// awaitStates waits until the distributor's page shows all ingesters as they are, in this state.
func (c *cluster) awaitStates(ctx context.Context, state string) error {
	for _, i := range c.ingesters {
		if err := c.awaitState(ctx, i, state); err != nil {
			return err
		}
	}
	members, err := c.ring(ctx)
	if err != nil {
		return err
	}
	if len(members) != len(c.ingesters) {
		return fmt.Errorf("%s: the distributor's page shows %d members, want %d", c.name, len(members), len(c.ingesters))
	}
	for _, i := range c.ingesters {
		m := members[i.Name]
		const numTokens = 128
		if m.Address != i.grpc || len(m.Tokens) != numTokens || !slices.IsSorted(m.Tokens) || m.Registered == "" {
			return fmt.Errorf("%s: the distributor's page shows %s at %s with %d tokens, registered at %q; want %s and %d", c.name, m.ID, m.Address, len(m.Tokens), m.Registered, i.grpc, numTokens)
		}
	}
	return nil
}

// awaitState waits until the distributor's page shows one ingester in this state.
func (c *cluster) awaitState(ctx context.Context, i *ingester, state string) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		members, err := c.ring(ctx)
		if err == nil && members[i.Name].State == state {
			return nil
		}
		if proc.Sleep(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("%s: the distributor's page shows %s as %q for %v, want %s (%w)", c.name, i.Name, members[i.Name].State, patience, state, errOr(err, "no error"))
		}
	}
}

package engine

import (
	"context"
	"errors"
	"fmt"
)

// Checkpoint images what the named tenants, or all if none is named, have got since their last images, and returns when it
// is published: a restart then has nothing of it to replay. Tenants that are not known are passed over. Nothing needs it
// for safety, and without images (Config.Checkpoint) there is nothing to do.
func (e *Engine) Checkpoint(ctx context.Context, tenants ...string) error {
	var errs []error
	all := e.Tenants()
	if len(tenants) > 0 {
		all = all[:0]
		for _, id := range tenants {
			if t := e.Tenant(id); t != nil {
				all = append(all, t)
			}
		}
	}
	for _, t := range all {
		if t.images == nil {
			continue
		}
		if err := t.images.ask(ctx); err != nil {
			errs = append(errs, fmt.Errorf("engine: checkpoint tenant %s: %w", t.id, err))
		}
	}
	return errors.Join(errs...)
}

// ask has the imager image everything now.
func (m *imager) ask(ctx context.Context) error {
	m.waiting.Add(1)
	defer m.waiting.Add(-1)
	done := make(chan error, 1)
	select {
	case m.asked <- done:
	case <-m.t.ctx.Done():
		return unavailable("the ingester is stopping")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// everything images all stripes that got something since they were last imaged.
func (m *imager) everything(ctx context.Context) error {
	var due []int
	for i := range m.t.stripes {
		if !m.broken[i] && m.t.stripes[i].tail.Load() > 0 {
			due = append(due, i)
		}
	}
	var errs []error
	for len(due) > 0 {
		n := min(roundStripes, len(due))
		errs = append(errs, m.round(ctx, due[:n]))
		due = due[n:]
	}
	return errors.Join(errs...)
}

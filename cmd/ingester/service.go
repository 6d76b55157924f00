package main

import (
	"context"
	"errors"
	"sync"

	"github.com/grafana/dskit/services"
)

// newEngineService brings the engine up and makes it a member of the ring, and takes both down. ready is called when
// requests of all kinds pass.
func newEngineService(p *operator, ready func()) *services.BasicService {
	starting := func(ctx context.Context) error {
		id, err := p.db.open()
		if err != nil {
			return err
		}
		if err := p.Start(id); err != nil {
			return errors.Join(err, p.db.close())
		}
		err = p.db.recover(ctx)
		if ctx.Err() != nil {
			return nil // told to stop, which is no failure; stopping closes
		}
		if err != nil {
			p.Stop()
			return errors.Join(err, p.db.close())
		}
		p.gate.Open()
		return nil
	}
	running := func(ctx context.Context) error {
		var joining sync.WaitGroup
		joining.Go(func() {
			if err := p.Join(ctx); err == nil {
				ready()
			}
		})
		<-ctx.Done()
		joining.Wait()
		return nil
	}
	stopping := func(error) error {
		err := p.leave(context.Background())
		_ = p.gossip.AwaitTerminated(context.Background()) // others may ask until they have heard of it; run tells its error
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		return errors.Join(err, p.gate.Close(ctx), p.timed(p.db.close), p.close.Close())
	}
	return services.NewBasicService(starting, running, stopping).WithName("engine")
}

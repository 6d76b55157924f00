package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/handover"
	"github.com/rekindledb/rekindle/rpc/ring"
)

const (
	transferRetryMin = 100 * time.Millisecond
	transferRetryMax = 5 * time.Second
)

var errWALOn = errors.New("hand-over is refused: the log is on (-ingester.wal-enabled), so data comes back with its own ingester")

// receive takes in what a leaving ingester has. The documents have this for ingesters without a log only.
func (p *operator) receive(ctx context.Context, recv func() ([]byte, error)) error {
	if p.wal {
		return errWALOn
	}
	if no := p.gate.Enter(); no != nil {
		return errors.New(no.Text)
	}
	defer p.gate.Leave()
	if err := p.Receiving(ctx); err != nil {
		return err
	}
	begun := time.Now()
	r := handover.Receiver{IsLeaving: p.IsLeaving, Store: p.db.takeIn}
	got, err := r.Receive(ctx, recv)
	if err == nil {
		err = p.Claim(ctx, got.From)
	}
	p.receivedChunks.Add(float64(got.Chunks))
	log := p.logger.With("from", got.From, "series", got.Series, "chunks", got.Chunks, "samples", got.Samples, "known", got.Known, "conflicts", got.Conflicts, "took", time.Since(begun))
	if err != nil {
		log.Error("hand-over broke off; it is waited for another", "err", err)
		return errors.Join(err, p.GiveUp(context.WithoutCancel(ctx)))
	}
	log.Info("hand-over received")
	return nil
}

// handOverOrKeep is what a stop does for data that has no log. was is the state before LEAVING; a READONLY ingester's place
// is not taken by anybody.
func (p *operator) handOverOrKeep(ctx context.Context, was ring.State) (handed bool, err error) {
	if p.retries == 0 || was != ring.Active && was != ring.ReadOnly || p.gate.Enter() != nil {
		return false, nil
	}
	defer p.gate.Leave()
	p.db.settle()
	if was == ring.Active {
		if err = p.handOver(ctx); err == nil {
			return true, nil
		}
	}
	return false, errors.Join(err, p.timed(func() error { return p.keep(ctx) }))
}

// handOver gives what is in memory to a PENDING ingester, which takes the tokens with it. Nothing is appended any more.
func (p *operator) handOver(ctx context.Context) error {
	pause := transferRetryMin
	var err error
	for try := range p.retries {
		if try > 0 {
			time.Sleep(pause)
			pause = min(2*pause, transferRetryMax)
		}
		if err = p.transfer(ctx); err == nil {
			return nil
		}
		p.logger.Warn("hand-over failed", "try", try+1, "of", p.retries, "err", err)
	}
	return fmt.Errorf("hand-over failed %d times, the last time because: %w", p.retries, err)
}

func (p *operator) transfer(ctx context.Context) error {
	id, addr, err := p.Pending(ctx)
	if err != nil {
		return err
	}
	if id == "" {
		return errors.New("no ingester is PENDING in the ring")
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to ingester %s at %s: %w", id, addr, err)
	}
	defer conn.Close()
	begun := time.Now()
	chunks, err := handover.Send(ctx, conn, p.ID(), p.db.Tenants(), func(tenant string) handover.Stream { return p.db.stream(tenant) })
	p.sentChunks.Add(float64(chunks))
	if err != nil {
		return fmt.Errorf("to ingester %s at %s: %w", id, addr, err)
	}
	p.logger.Info("handed over", "to", id, "chunks", chunks, "took", time.Since(begun))
	return nil
}

// takeIn stores what another ingester had acknowledged.
func (s *store) takeIn(ctx context.Context, tenant string, b *engine.Batch) (engine.TakenIn, error) {
	return s.engine.TakeIn(ctx, tenant, b)
}

func (s *store) stream(tenant string) func(ctx context.Context, mint, maxt int64, yield func([]engine.KeyedSeries) error) error {
	t := s.engine.Tenant(tenant)
	if t == nil {
		return nil
	}
	return func(ctx context.Context, mint, maxt int64, yield func([]engine.KeyedSeries) error) error {
		return t.Stream(ctx, engine.AllSamples, mint, maxt, yield)
	}
}

// save writes what an engine without a log has in memory to the data directory, where a start recovers it
// (-ingester.recover-from-wal). It is made aside and put in its place when it is durable.
func (s *store) save(ctx context.Context) error {
	tmp := engine.ImportDir(s.cfg.Dir)
	c := s.cfg
	c.Dir, c.WAL, c.Recover, c.Checkpoint, c.CheckpointRate = tmp, true, true, true, 0
	c.Instance, c.InstanceGiven, c.Adopt = "", false, false
	if err := disk.OS.RemoveAll(tmp); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	to, err := engine.Open(c)
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	err = to.Recover(ctx)
	for _, id := range s.Tenants() {
		if err != nil {
			break
		}
		var got handover.Received
		got, err = handover.Copy(ctx, id, s.stream(id), to.TakeIn)
		s.cfg.Logger.Info("saving", "tenant", id, "series", got.Series, "samples", got.Samples)
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	for _, id := range s.Tenants() {
		if err := disk.OS.Rename(filepath.Join(tmp, id), filepath.Join(s.cfg.Dir, id)); err != nil {
			return fmt.Errorf("save: put tenant %s in its place: %w", id, err)
		}
	}
	if err := disk.OS.SyncDir(s.cfg.Dir); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	s.cfg.Logger.Info("saved: the data is in the data directory, for the next start", "dir", s.cfg.Dir)
	return disk.OS.RemoveAll(tmp)
}

package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/rekindledb/rekindle/engine"
)

// Receiver is what a transfer needs of the instance that it comes to.
type Receiver struct {
	// IsLeaving returns nil if the ring says that an instance is LEAVING.
	IsLeaving func(ctx context.Context, id string) error
	// Store keeps samples, however old.
	Store func(ctx context.Context, tenant string, b *engine.Batch) (engine.TakenIn, error)
}

// Received is what came.
type Received struct {
	From           string
	Series, Chunks int
	Samples        int // that were not known
	Known          int // older than what there is of the series: from an attempt before
	Conflicts      int // another value stands at that time
}

// batchSamples is how many samples are stored together.
const batchSamples = 8192

// Receive stores the messages that recv returns until io.EOF. The leaver's tokens can be claimed then.
func (r *Receiver) Receive(ctx context.Context, recv func() ([]byte, error)) (Received, error) {
	var got Received
	var s series
	in := inbox{r: r, got: &got}
	for {
		b, err := recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return got, fmt.Errorf("handover: receive: %w", err)
		}
		if err := s.unmarshal(b); err != nil {
			return got, err
		}
		switch {
		case s.from == "":
			return got, errors.New("handover: a series does not say which ingester it comes from")
		case got.From == "":
			if err := r.IsLeaving(ctx, s.from); err != nil {
				return got, err
			}
			got.From = s.from
		case got.From != s.from:
			return got, fmt.Errorf("handover: a series comes from ingester %q in the transfer of %q", s.from, got.From)
		}
		got.Series++
		got.Chunks += s.chunks
		if err := in.add(ctx, &s); err != nil {
			return got, err
		}
	}
	if got.Series == 0 {
		return got, errors.New("handover: no series")
	}
	return got, in.store(ctx)
}

// inbox gathers series of a tenant.
type inbox struct {
	r      *Receiver
	got    *Received
	tenant string
	batch  engine.Batch
	keys   []byte
	starts []int // of the keys in keys, which may move while it grows
}

func (i *inbox) add(ctx context.Context, s *series) error {
	if len(s.samples) == 0 {
		return nil
	}
	if i.tenant != s.tenant || len(i.batch.Samples)+len(s.samples) > batchSamples {
		if err := i.store(ctx); err != nil {
			return err
		}
		i.tenant = s.tenant
	}
	lo := uint32(len(i.batch.Samples))
	i.batch.Samples = append(i.batch.Samples, s.samples...)
	i.starts = append(i.starts, len(i.keys))
	i.keys = append(i.keys, s.key...)
	i.batch.Series = append(i.batch.Series, engine.BatchSeries{Lo: lo, Hi: uint32(len(i.batch.Samples))})
	return nil
}

func (i *inbox) store(ctx context.Context) error {
	if len(i.batch.Series) == 0 {
		return nil
	}
	for k := range i.batch.Series {
		end := len(i.keys)
		if k+1 < len(i.starts) {
			end = i.starts[k+1]
		}
		i.batch.Series[k].Key = i.keys[i.starts[k]:end]
	}
	taken, err := i.r.Store(ctx, i.tenant, &i.batch)
	if err != nil {
		return fmt.Errorf("handover: store %d series of tenant %q: %w", len(i.batch.Series), i.tenant, err)
	}
	i.got.Samples += taken.Stored
	i.got.Known += taken.OutOfOrder + taken.Duplicates
	i.got.Conflicts += taken.Conflicts
	i.batch.Series, i.batch.Samples = i.batch.Series[:0], i.batch.Samples[:0]
	i.keys, i.starts = i.keys[:0], i.starts[:0]
	return nil
}

// Copy stores all series of a tenant that a Stream gives.
func Copy(ctx context.Context, tenant string, from Stream, store func(ctx context.Context, tenant string, b *engine.Batch) (engine.TakenIn, error)) (Received, error) {
	var got Received
	var mu sync.Mutex
	in := inbox{r: &Receiver{Store: store}, got: &got}
	s := series{tenant: tenant}
	err := from(ctx, math.MinInt64, math.MaxInt64, func(list []engine.KeyedSeries) error {
		mu.Lock()
		defer mu.Unlock()
		for i := range list {
			s.key, s.samples = append(s.key[:0], list[i].Key...), s.samples[:0]
			for _, c := range list[i].Chunks {
				var err error
				if s.samples, err = appendXOR(s.samples, 0, c.Data); err != nil {
					return err
				}
			}
			got.Series++
			got.Chunks += len(list[i].Chunks)
			if err := in.add(ctx, &s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return got, err
	}
	return got, in.store(ctx)
}

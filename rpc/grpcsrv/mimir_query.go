package grpcsrv

import (
	"context"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/pb"
)

// seriesPerMessage is how many series a message of Mimir's first part holds.
const seriesPerMessage = 128

// streamInParts answers a QueryStream in the form that Mimir's queriers take: first all series, sorted by labels, the last
// of these messages marked as such and sent also if there is none; then their chunks, in the same order. What the first
// part names is held in memory until the second has sent it, so that no series is missing there.
func streamInParts(ctx context.Context, source Source, req *pb.QueryRequest, ms []*labels.Matcher, has shard, send func(reply) error) error {
	var mu sync.Mutex
	var all []engine.KeyedSeries
	if err := source.Stream(ctx, engine.AllSamples, req.Start, req.End, func(list []engine.KeyedSeries) error {
		kept := keep(list, has)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, kept...)
		return nil
	}, ms...); err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b engine.KeyedSeries) int { return pb.CompareKeys(a.Key, b.Key) })

	for rest := all; ; {
		n := min(seriesPerMessage, len(rest))
		var m reply
		for i := range rest[:n] {
			m = pb.AppendStreamingSeries(m, rest[i].Key, len(rest[i].Chunks))
		}
		if rest = rest[n:]; len(rest) == 0 {
			m = pb.AppendEndOfSeries(m)
		}
		if err := send(m); err != nil {
			return err
		}
		if len(rest) == 0 {
			break
		}
	}

	out, inMessage := newBatch(send), uint64(0)
	for i := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		index := uint64(i)
		if inMessage == req.BatchSize {
			if err := out.flush(); err != nil {
				return err
			}
		}
		if err := out.room(pb.SizeStreamingChunks(index, all[i].Chunks)); err != nil {
			return err
		}
		if len(out.message) == 0 {
			inMessage = 0
		}
		var err error
		if out.message, err = pb.AppendStreamingChunks(out.message, index, all[i].Chunks); err != nil {
			return err
		}
		inMessage++
	}
	return out.flush()
}

// keep copies the series of a shard, which are gone when the call that has them returns.
func keep(list []engine.KeyedSeries, has shard) []engine.KeyedSeries {
	size := 0
	for i := range list {
		size += len(list[i].Key)
		for _, c := range list[i].Chunks {
			size += len(c.Data)
		}
	}
	memory := make([]byte, 0, size)
	copied := func(b []byte) []byte {
		begin := len(memory)
		memory = append(memory, b...)
		return memory[begin:len(memory):len(memory)]
	}
	kept := make([]engine.KeyedSeries, 0, len(list))
	for _, s := range list {
		if !has.of(s.Key) {
			continue
		}
		s.Key, s.Chunks = copied(s.Key), slices.Clone(s.Chunks)
		for i := range s.Chunks {
			s.Chunks[i].Data = copied(s.Chunks[i].Data)
		}
		kept = append(kept, s)
	}
	return kept
}

package engine

import (
	"time"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/walio"
)

// Stats is a tenant's numbers now, and its totals since the process started.
type Stats struct {
	Series, Pairs, Names uint64
	MinTime, MaxTime     int64 // ms; MinTime > MaxTime if there are no samples

	Requests                    int64
	Stored, Duplicates, Created int64
	Discards                    []Discard // ordered by reason

	// Memory outside the Go heap, by purpose (arena.Purpose), in bytes.
	Memory [arena.NumPurposes]uint64
	// TrailBytes and CopyBytes are outside the Go heap too: the order of series, buffers for images.
	TrailBytes, CopyBytes uint64
	// ChunkBuffers is closed chunks that wait for their files, in bytes; on the Go heap.
	ChunkBuffers int64
	// PendingBytes wait for the log.
	PendingBytes int64
	MetadataKeys int

	// Tail is the entries that a restart would have to replay now. ImageAge is how far back the oldest of the
	// images lies that it would begin from, of those that changed since.
	Tail     int64
	ImageAge time.Duration

	Log     walio.Stats
	Images  ImageStats
	Store   ckpt.Stats
	Recover RecoverStats
}

// imageAge is how long ago the stripe's newest image was taken; 0 if there is none.
func (s *stripe) imageAge() time.Duration {
	at := s.since.at.Load()
	if at == 0 {
		return 0
	}
	return time.Since(time.Unix(0, at))
}

// Stats fills st.
func (t *Tenant) Stats(st *Stats) {
	*st = Stats{MinTime: 1, Recover: t.recovered}
	st.MinTime, st.MaxTime = t.timeRange()
	for i := range t.stripes {
		s := &t.stripes[i]
		s.mu.Lock()
		if s.a != nil {
			st.Series += uint64(s.root.live)
			st.Pairs += uint64(s.root.pairs.Len)
			st.Names += uint64(s.root.names.Len)
			for p := range st.Memory {
				st.Memory[p] += s.a.Used(arena.Purpose(p))
			}
		}
		s.mu.Unlock()
		if tail := s.tail.Load() + s.imaging.Load(); tail > 0 {
			st.Tail += tail
			st.ImageAge = max(st.ImageAge, s.imageAge())
		}
	}
	if tr := t.trail.Load(); tr != nil {
		st.TrailBytes = tr.bytes()
	}
	c := &t.counts
	st.Requests, st.Stored, st.Duplicates, st.Created = c.requests.Load(), c.stored.Load(), c.duplicates.Load(), c.created.Load()
	st.Discards = t.discards.list()
	st.ChunkBuffers = t.bufferedChunks()
	st.PendingBytes = max(t.pending.Load(), 0) * entrySize
	st.MetadataKeys = t.metadata.len()
	if t.wal != nil {
		t.wal.Stats(&st.Log)
	}
	if t.images != nil {
		t.images.mu.Lock()
		st.Images = t.images.mu.stats
		t.images.mu.Unlock()
		st.CopyBytes = uint64(t.images.copies.Load())
		t.store.Stats(&st.Store)
	}
}

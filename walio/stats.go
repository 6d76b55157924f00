package walio

import "time"

// Stats are counters since Start, and the present state.
type Stats struct {
	Commits, Records         uint64
	Series, Samples, Others  uint64
	Bytes, UncompressedBytes uint64 // written with framing; records before compression
	Syncs, Failures          uint64
	SyncTime                 time.Duration

	Written, Synced  uint64 // commit numbers
	RetainedBytes    int64  // commits kept until they are synced
	Segments         int
	SegmentBytes     int64
	FirstSegment     int // -1 without segments
	CurrentSegment   int // -1 without an open one
	SecondsUnsynced  float64
	CheckpointSeries uint64 // series named by the newest checkpoint
}

func (s *Stats) count(e *encoded, h *commitHeader) {
	s.Commits++
	s.Records += uint64(len(e.recs))
	s.Series += h.counts.Series
	s.Samples += h.counts.Samples
	s.Others += h.counts.Others
	s.UncompressedBytes += uint64(e.raw)
}

// Stats fills s.
func (l *Log) Stats(s *Stats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*s = l.mu.stats
	s.Written, s.Synced = l.mu.writtenCommit, l.mu.syncedCommit
	s.RetainedBytes = l.mu.retainedBytes
	s.CheckpointSeries = l.mu.checkpointSeries
	s.FirstSegment, s.CurrentSegment = -1, -1
	for i, f := range l.mu.finished {
		if i == 0 {
			s.FirstSegment = f.num
		}
		s.Segments++
		s.SegmentBytes += f.size
	}
	if c := l.mu.current; c != nil {
		if s.FirstSegment < 0 {
			s.FirstSegment = c.num
		}
		s.CurrentSegment = c.num
		s.Segments++
		s.SegmentBytes += c.size
	}
	if len(l.mu.retained) > 0 {
		s.SecondsUnsynced = time.Since(l.mu.retained[0].begun).Seconds()
	}
}

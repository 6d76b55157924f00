package walio

import (
	"context"
	"slices"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
)

// checkpointState is what the newest checkpoint holds.
type checkpointState struct {
	num int
	// valid is false without a checkpoint and if it is damaged: then the next one is written whole.
	valid    bool
	segments int
	series   uint64
	maxIndex []uint64
}

// checkpointWriter writes one segment of a checkpoint. Like the log it consists of commits, so that the same
// reader verifies it; their numbers count within the checkpoint and mean nothing outside.
type checkpointWriter struct {
	log    *Log
	dir    string
	state  *checkpointState // after this segment
	num    int
	commit uint64
	before Totals

	file   disk.File
	synced time.Time // when it last was, or was made
	out    fileAppender
	comp   *compressor
	batch  Batch
	enc    encoded
	head   commitHeader
}

func newCheckpointWriter(l *Log, dir string, state *checkpointState) (*checkpointWriter, error) {
	comp, err := newCompressor(l.opts.Compression)
	if err != nil {
		return nil, err
	}
	return &checkpointWriter{
		log: l, dir: dir, state: state, num: state.segments, comp: comp,
		commit: uint64(state.segments) << 32, before: Totals{Series: state.series},
	}, nil
}

// write writes the series above state.maxIndex, stripe by stripe, and syncs. Without any, no segment is made
// unless the checkpoint would have none.
func (w *checkpointWriter) write(names Names) error {
	defer w.close()
	if w.num == 0 {
		if err := w.create(); err != nil {
			return err
		}
	}
	after := slices.Clone(w.state.maxIndex)
	stripes := uint64(w.log.opts.Identity.Stripes)
	for stripe, index := range after {
		for ref, key := range names.Each(stripe, index) {
			w.batch.Series(ref, key)
			w.state.maxIndex[stripe] = max(w.state.maxIndex[stripe], ref/stripes)
			if len(w.batch.series.bytes) >= nameCommitSize {
				if err := w.flush(); err != nil {
					return err
				}
			}
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
	return w.finish()
}

func (w *checkpointWriter) create() (err error) {
	w.file, err = w.log.opts.FS.Create(segmentPath(w.dir, w.num))
	if err != nil {
		return err
	}
	w.synced = time.Now()
	w.out = fileAppender{file: w.file, frames: w.appendHead(nil)}
	return nil
}

// appendHead appends the segment header. Its size does not depend on the counts, so it can be written again
// when they are known.
func (w *checkpointWriter) appendHead(dst []byte) []byte {
	return appendFragments(dst, 0, appendSegmentHeader(nil, &segmentHeader{
		kind: segmentCheckpoint, id: w.log.opts.Identity, epoch: w.log.opts.Epoch,
		num: uint64(w.num), first: uint64(w.num)<<32 + 1,
		maxIndex: w.state.maxIndex, series: w.state.series,
	}), 0)
}

// nameCommitSize bounds what is kept in memory, here and by who reads it.
const nameCommitSize = 1 << 20

// flush writes the batch, which holds series only, as a commit, and empties it.
func (w *checkpointWriter) flush() error {
	w.batch.finish()
	defer w.batch.reset()
	if w.batch.empty() {
		return nil
	}
	if w.file == nil {
		if err := w.create(); err != nil {
			return err
		}
	}
	w.commit++
	w.head.flags, w.head.generation, w.head.epoch = 0, w.log.opts.Identity.Generation, w.log.opts.Epoch
	w.head.commit, w.head.before = w.commit, w.before
	encodeCommit(&w.enc, &w.batch, &w.head, w.comp)
	w.before = w.before.plus(w.batch.counts)
	w.state.series += w.batch.counts.Series
	before := w.size()
	if err := w.out.append(&w.enc); err != nil {
		return err
	}
	return w.pace(w.size() - before)
}

func (w *checkpointWriter) size() int64 { return w.out.off + int64(len(w.out.frames)) }

// checkpointSyncEvery is how much time of writing is synced together: what is spread over a long time must not reach the
// disk in one burst at its end.
const checkpointSyncEvery = time.Second

// pace spreads the writing.
func (w *checkpointWriter) pace(n int64) error {
	if err := w.log.opts.PaceCheckpoint(int(n)); err != nil {
		return err
	}
	if time.Since(w.synced) < checkpointSyncEvery {
		return nil
	}
	w.synced = time.Now()
	return w.file.Sync()
}

func (w *checkpointWriter) finish() error {
	if w.file == nil {
		return nil
	}
	if err := w.out.flush(); err != nil {
		return err
	}
	if _, err := w.file.WriteAt(w.appendHead(nil), 0); err != nil {
		return err
	}
	w.state.segments++
	return w.file.Sync()
}

func (w *checkpointWriter) close() {
	if w.file != nil {
		w.file.Close()
	}
}

// checkpoint is the newest checkpoint as recovery found it.
type checkpoint struct {
	dir      string // empty without one
	state    checkpointState
	segments []*segmentScan
}

// openCheckpoint reads the headers of the newest checkpoint's segments. The last one sums up all of them.
func (r *recovery) openCheckpoint(ctx context.Context) error {
	n := len(r.listing.checkpoints)
	if n == 0 {
		return nil
	}
	c := &r.checkpoint
	c.state.num = r.listing.checkpoints[n-1]
	c.dir = checkpointPath(r.opts.Dir, c.state.num)
	list, err := listDir(r.opts.FS, c.dir)
	if err != nil {
		return err
	}
	for _, num := range list.segments {
		c.segments = append(c.segments, &segmentScan{num: num, path: segmentPath(c.dir, num)})
	}
	if err := r.readHeaders(ctx, c.segments, segmentCheckpoint); err != nil {
		return err
	}
	s := &c.state
	s.segments, s.valid = len(c.segments), len(c.segments) > 0
	for i, seg := range c.segments {
		h := seg.header
		if h == nil || seg.num != i || h.num != uint64(i) || len(h.maxIndex) != int(r.opts.Identity.Stripes) {
			s.valid = false
			continue
		}
		s.series, s.maxIndex = max(s.series, h.series), h.maxIndex
	}
	return nil
}

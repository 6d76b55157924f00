package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/walio"
)

// imager keeps a tenant's restart short. It images the stripes whose tails of log entries are the longest,
// so that the whole tail can be replayed in the restart target; and whichever was not imaged for longer than
// the checkpoint duration. One stripe at a time, so that writes are spread; several together when entries
// come faster than the disk syncs one image after another.
//
// One round:
//
//	imager     picks stripes, copies their changed extents, a few at a time under the stripe's lock, asks for an
//	           image, kicks the log
//	committer  in commit c, under each stripe's lock: takes the pending entries, copies what changed meanwhile
//	imager     writes the slots, walks them, waits until the log is synced through c, syncs the chunk files to
//	           the lengths named, syncs the slots, publishes; then lets the log be cut
type imager struct {
	t     *Tenant
	store *ckpt.Store

	// want is the stripes that the committer shall copy, a bit each. The committer claims it as a whole, fills
	// shots, and tells copied when it is through.
	want   atomic.Uint64
	copied chan struct{}
	shots  []shot // the committer's while it has a claim, else the imager's
	bufs   []copyBuffer
	copies atomic.Int64 // bytes of bufs

	segment uint64 // nextSegment while the log is being replayed

	asked   chan chan error // by Checkpoint; each is answered once everything is imaged
	waiting atomic.Int32    // who ask, or are about to

	// named is each stripe's next index as of its newest image: series below are in synced commits.
	named []atomic.Uint32

	mu struct {
		sync.Mutex
		stats ImageStats
	}
	// Owned by the imager goroutine.
	last    []time.Time // when each stripe was last imaged
	broken  []bool      // the walk found a fault: the stripe is not imaged again, the log is kept
	cutting cutting
	// interval is the time until the next round is likely to be due, of which the last one that was began at lastDue.
	interval time.Duration
	lastDue  time.Time
}

// ImageStats counts images.
type ImageStats struct {
	Images, Failed uint64
	Bytes          uint64
	Seconds        float64 // spent on rounds that published images
	Holds          Holds   // of a stripe's lock, to copy it
	Broken         int     // stripes whose memory contradicts itself
}

const (
	// arenaLayout is the version of what the extents hold: header, root, records, labels, lists, tables.
	arenaLayout = 2

	// imageBurst is the most that is written to an image between two looks at the rate limit.
	imageBurst = 1 << 20
	// imageTick is how often the tails are looked at.
	imageTick = 20 * time.Millisecond
	// imageRetry is the pause after an image that failed.
	imageRetry = time.Second

	// A round takes copy buffers for all its stripes, and its last copies hold up a commit together.
	roundStripes = 8
	roundBytes   = 16 << 20
	// roundApart is the longest time between two rounds that the writing of one is spread for.
	roundApart = 30 * time.Second
)

func newImager(t *Tenant, store *ckpt.Store) *imager {
	m := &imager{
		t: t, store: store, copied: make(chan struct{}, 1), asked: make(chan chan error),
		last: make([]time.Time, len(t.stripes)), broken: make([]bool, len(t.stripes)), named: make([]atomic.Uint32, len(t.stripes)),
	}
	now := time.Now()
	m.lastDue = now
	for i := range m.last {
		// Spread over the checkpoint duration from the start.
		m.last[i] = now.Add(-t.e.cfg.CheckpointDuration * time.Duration(i) / time.Duration(len(m.last)))
		if s := &t.stripes[i]; s.a != nil {
			m.named[i].Store(s.root.next) // all that was recovered is synced
		}
	}
	return m
}

// run images stripes until ctx ends.
func (m *imager) run(ctx context.Context) {
	tick := time.NewTicker(imageTick)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case done := <-m.asked:
			done <- m.everything(ctx)
			continue
		case <-tick.C:
		}
		for stripes := m.due(time.Now()); len(stripes) > 0; stripes = m.due(time.Now()) {
			err := m.round(ctx, stripes)
			if ctx.Err() != nil {
				return
			}
			if err != nil && !failing {
				m.t.e.cfg.Logger.Error("images failed; the log is kept until they succeed, so restarts take longer meanwhile", "tenant", m.t.id, "stripes", stripes, "err", err)
			} else if err == nil && failing {
				m.t.e.cfg.Logger.Info("images are written again", "tenant", m.t.id)
			}
			if failing = err != nil; failing {
				sleep(ctx, imageRetry)
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// postpone makes stripes due, twice, as soon as images can be written.
func (m *imager) postpone(stripes []int) {
	for _, i := range stripes {
		s := &m.t.stripes[i]
		s.mu.Lock()
		s.root.drained = m.store.Entries(i)[0].Commit // holdsLog
		s.a.TouchRoot()
		s.mu.Unlock()
		s.tail.Add(1)
		m.last[i] = time.Time{}
	}
}

// holdsLog reports whether a stripe that got nothing since its newest image still needs the log, because the
// older image is from before its last entries. One more image, of a few extents, and both move on for free.
func (m *imager) holdsLog(i int) bool {
	s := &m.t.stripes[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		return false
	}
	entries := m.store.Entries(i)
	return len(entries) < 2 || entries[len(entries)-1].Commit < s.root.drained
}

// size is how many bytes the next image of a stripe has, as of now.
func (m *imager) size(i int) int {
	s := &m.t.stripes[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.a == nil:
		return 0
	case m.store.NeedsAll(i):
		return int(s.a.Size())
	}
	return s.a.Changed()
}

// round images some stripes. Those that fail are left for another round; what others wrote is published.
func (m *imager) round(ctx context.Context, stripes []int) (err error) {
	begun := time.Now()
	if err := m.take(ctx, stripes); err != nil {
		return err
	}
	for _, i := range stripes {
		m.last[i] = begun
	}
	defer func() {
		for i := range m.shots {
			m.shots[i].end()
		}
		m.count(begun)
	}()
	if err = m.finish(ctx); err != nil {
		for i := range m.shots {
			m.shots[i].fail(err)
		}
	}
	for i := range m.shots {
		if x := &m.shots[i]; x.err == nil {
			x.stripe.since.set(int64(x.meta.Extents)*arena.ExtentSize, int64(x.meta.MaxIndex)+1, begun)
			x.stripe.since.log(x.entry, x.name)
			x.stripe.chunks.dropOrphans()
		} else {
			m.last[x.stripe.id] = time.Time{} // still due
			err = cmp.Or(err, x.err)
		}
	}
	return errors.Join(err, m.cut())
}

// take copies stripes, and has the committer complete the copies.
func (m *imager) take(ctx context.Context, stripes []int) error {
	if err := m.t.wal.Err(); err != nil { // it would take no commit
		return err
	}
	mask := uint64(0)
	slices.Sort(stripes) // the committer goes through them in this order
	for k, i := range stripes {
		if k == len(m.bufs) {
			m.bufs = append(m.bufs, copyBuffer{})
		}
		m.prepare(&m.t.stripes[i], &m.bufs[k])
		mask |= 1 << i
	}
	copies := 0
	for k := range m.bufs {
		if k >= len(stripes) {
			m.bufs[k].reserve(0)
		}
		copies += len(m.bufs[k].data)
	}
	m.copies.Store(int64(copies))
	m.shots = m.shots[:0]
	m.want.Store(mask)
	m.t.wal.Kick()
	err := errors.New("engine: the log takes no commit")
	select {
	case <-m.copied:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(imageRetry):
	}
	if m.want.CompareAndSwap(mask, 0) {
		return errors.Join(err, m.t.wal.Err())
	}
	<-m.copied // it was faster
	return nil
}

// claim is called by the committer when it begins a commit: the stripes to copy in it. Once it has asked for
// any it must call done.
func (m *imager) claim() uint64 {
	if m == nil {
		return 0
	}
	return m.want.Swap(0)
}

func (m *imager) done() { m.copied <- struct{}{} }

// copyLocked takes a stripe's image: under its lock, after its pending entries went into the commit.
func (m *imager) copyLocked(s *stripe, commit uint64) {
	m.t.e.cfg.crash("copy")
	m.shots = append(m.shots, m.shoot(s, commit, &m.bufs[len(m.shots)]))
	m.t.e.cfg.crash("copied")
}

// idle lists the stripes that got nothing since their images: they are moved on without being written, so
// that an idle stripe does not keep the log.
func (m *imager) idle(synced uint64) []ckpt.Idle {
	var out []ckpt.Idle
	for i := range m.t.stripes {
		s := &m.t.stripes[i]
		since := uint64(0)
		s.mu.Lock()
		if s.a != nil {
			since = s.root.drained
		}
		s.mu.Unlock()
		// All commits up to synced have taken what was pending: what is pending now goes into a later one.
		if since < synced {
			out = append(out, ckpt.Idle{Stripe: i, Since: since, To: synced})
		}
	}
	return out
}

// nextSegment is greater than the number of every segment of the log, whatever becomes of its files.
func (m *imager) nextSegment() uint64 {
	if m.t.wal == nil { // it is not open yet
		return m.segment
	}
	var st walio.Stats
	m.t.wal.Stats(&st)
	return uint64(st.CurrentSegment + 1)
}

func (m *imager) count(begun time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st, published := &m.mu.stats, false
	for i := range m.shots {
		x := &m.shots[i]
		st.Holds.Add(x.holds)
		switch {
		case x.err == nil:
			st.Images++
			st.Bytes += x.bytes()
			published = true
		default:
			st.Failed++
		}
	}
	if published {
		st.Seconds += time.Since(begun).Seconds()
	}
	st.Broken = 0
	for _, b := range m.broken {
		if b {
			st.Broken++
		}
	}
}

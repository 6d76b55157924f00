package engine

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/walio"
)

// imager keeps a tenant's restart short: it images one stripe after another, always the one whose tail of
// log entries is the longest, so that the whole tail can be replayed in the restart target; and whichever
// was not imaged for longer than the checkpoint duration.
//
// One image:
//
//	imager     picks a stripe, makes the buffer large enough, asks for it, kicks the log
//	committer  in commit c, under the stripe's lock: takes the pending entries, copies the changed extents
//	imager     writes the slot, walks it, waits until the log is synced through c, syncs the chunk files to
//	           the lengths named, syncs the slot, publishes; then lets the log be cut
type imager struct {
	t     *Tenant
	store *ckpt.Store

	// want is the stripe that the committer shall copy, -1 = none. copied is told when it has.
	want   atomic.Int32
	copied chan struct{}

	// shot is the copy, handed from the committer to the imager by copied.
	shot shot
	buf  []byte
	runs []arena.Run

	budget int64 // entries whose replay takes the restart target

	mu struct {
		sync.Mutex
		stats ImageStats
	}
	// Owned by the imager goroutine.
	last    []time.Time // when each stripe was last imaged
	broken  []bool      // the walk found a fault: the stripe is not imaged again, the log is kept
	lastCut uint64
}

// shot is one stripe's image on its way.
type shot struct {
	w      *ckpt.Writer
	stripe *stripe
	commit uint64
	meta   ckpt.Meta
	runs   []arena.Run
	tail   int64 // what the stripe's tail was: restored if the image fails
	held   time.Duration
}

// ImageStats counts images.
type ImageStats struct {
	Images, Failed, Rejected uint64
	Bytes                    uint64
	Seconds                  float64 // spent on published images
	LongestHold              time.Duration
	Broken                   int // stripes whose memory contradicts itself
}

const (
	// arenaLayout is the version of what the extents hold: header, root, records, labels, lists, tables.
	arenaLayout = 1

	// replayRate is how many entries a second two cores replay, cautiously; the budget is made of it.
	replayRate = 12_000_000
	// imageBurst is the most that is written to an image between two looks at the rate limit.
	imageBurst = 1 << 20
	// imageTick is how often the tails are looked at.
	imageTick = 20 * time.Millisecond
	// imageRetry is the pause after an image that failed.
	imageRetry = time.Second
)

func newImager(t *Tenant, store *ckpt.Store) *imager {
	m := &imager{
		t: t, store: store, copied: make(chan struct{}, 1),
		budget: int64(t.e.cfg.RestartTarget.Seconds() * replayRate),
		last:   make([]time.Time, len(t.stripes)), broken: make([]bool, len(t.stripes)),
	}
	m.want.Store(-1)
	now := time.Now()
	for i := range m.last {
		// Spread over the checkpoint duration from the start.
		m.last[i] = now.Add(-t.e.cfg.CheckpointDuration * time.Duration(i) / time.Duration(len(m.last)))
	}
	return m
}

// wanted is the stripe to copy in the commit that is being built, -1 for none.
func (m *imager) wanted() int {
	if m == nil {
		return -1
	}
	return int(m.want.Load())
}

// copyLocked takes the image: under the stripe's lock, after its pending entries went into the commit. It
// reports whether one was taken.
func (m *imager) copyLocked(s *stripe, commit uint64) bool {
	if !m.want.CompareAndSwap(int32(s.id), -1) {
		return false
	}
	begun := time.Now()
	m.t.e.cfg.crash("copy")
	m.shot = m.take(s, commit)
	m.shot.held = time.Since(begun)
	m.t.e.cfg.crash("copied")
	m.copied <- struct{}{}
	return true
}

// take copies a stripe whose pending entries are all in commits up to commit. Under the stripe's lock.
func (m *imager) take(s *stripe, commit uint64) shot {
	if s.root.mutation.Load()&1 == 1 {
		// Under the lock this cannot be; were it so, neither memory nor image could be trusted.
		exit(s.id, "an image was asked for", nil)
	}
	w := m.store.Begin(s.id)
	m.buf, m.runs = s.a.CopyDirty(uint8(w.Slot), w.All, m.buf, m.runs)
	return shot{w: w, stripe: s, commit: commit, meta: s.meta(m.t, commit), runs: m.runs, tail: s.tail.Swap(0)}
}

// meta describes the stripe as it is now. Under the stripe's lock.
func (s *stripe) meta(t *Tenant, commit uint64) ckpt.Meta {
	m := ckpt.Meta{
		Commit: commit, Extents: uint32(s.a.Size() / arena.ExtentSize), Layout: arenaLayout,
		Epoch: t.epoch, Floor: t.floor.Load(), Series: uint64(s.root.live), MaxIndex: uint64(s.root.next - 1),
		MinTime: s.root.minT, MaxTime: s.root.maxT,
	}
	for id, n := range s.chunks.lengths() {
		m.Chunks = append(m.Chunks, ckpt.ChunkFile{ID: uint64(id), Length: n})
	}
	slices.SortFunc(m.Chunks, func(a, b ckpt.ChunkFile) int { return int(a.ID) - int(b.ID) })
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
		case <-tick.C:
		}
		for i := m.pick(time.Now()); i >= 0 && ctx.Err() == nil; i = m.pick(time.Now()) {
			err := m.image(ctx, i)
			if ctx.Err() != nil {
				return
			}
			if err != nil && !failing {
				m.t.e.cfg.Logger.Error("an image failed; the log is kept until one succeeds, so restarts take longer meanwhile", "tenant", m.t.id, "stripe", i, "err", err)
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

// pick returns the stripe to image next, -1 for none.
func (m *imager) pick(now time.Time) int {
	longest, oldest, whole := -1, -1, int64(0)
	for i := range m.t.stripes {
		tail := m.t.stripes[i].tail.Load()
		whole += tail
		if m.broken[i] {
			continue
		}
		if tail > 0 && (longest < 0 || tail > m.t.stripes[longest].tail.Load()) {
			longest = i
		}
		if now.Sub(m.last[i]) < m.t.e.cfg.CheckpointDuration || oldest >= 0 && !m.last[i].Before(m.last[oldest]) {
			continue
		}
		if tail > 0 || m.holdsLog(i) {
			oldest = i
		} else {
			m.last[i] = now
		}
	}
	if whole >= m.budget {
		return longest
	}
	return oldest
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

// image writes one image of a stripe.
func (m *imager) image(ctx context.Context, i int) (err error) {
	begun := time.Now()
	s := &m.t.stripes[i]
	m.prepare(s)
	m.want.Store(int32(i))
	m.t.wal.Kick()
	if err := m.await(ctx, i); err != nil {
		return err
	}
	x := &m.shot
	defer func() {
		if err != nil {
			s.tail.Add(x.tail)
		}
		m.count(x, begun, err)
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.write(x); err != nil {
		return err
	}
	if err := m.t.wal.WaitSynced(ctx, x.commit); err != nil {
		return err
	}
	if err := s.chunks.sync(&s.mu); err != nil {
		return err
	}
	if err := x.w.Sync(); err != nil {
		return err
	}
	m.t.e.cfg.crash("publish")
	synced := m.t.wal.Synced()
	err = m.store.Publish(ckpt.Update{
		Images: []*ckpt.Writer{x.w}, SyncedThrough: synced, NextSegment: m.nextSegment(), Idle: m.idle(synced),
	})
	if err != nil {
		return err
	}
	m.t.e.cfg.crash("published")
	m.last[i] = begun
	s.chunks.dropOrphans()
	return m.cut()
}

// await waits until the committer has copied the stripe. After an error it will not.
func (m *imager) await(ctx context.Context, i int) error {
	err := errors.New("engine: the log takes no commit")
	select {
	case <-m.copied:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(imageRetry):
	}
	if m.want.CompareAndSwap(int32(i), -1) {
		return errors.Join(err, m.t.wal.Err())
	}
	<-m.copied // it was faster
	return nil
}

// prepare makes the copy buffer large enough, and touches it: a page fault every 4 KiB under the stripe's
// lock would take fifty times as long as the copy.
func (m *imager) prepare(s *stripe) {
	s.mu.Lock()
	size := 0
	if s.a != nil {
		size = int(s.a.Size())
	}
	s.mu.Unlock()
	if size += size/8 + 1<<20; cap(m.buf) < size {
		m.buf = make([]byte, size)
		for i := 0; i < size; i += arena.ExtentSize {
			m.buf[i] = 1
		}
	}
}

// write puts the copy into its slot and walks what lies there.
func (m *imager) write(x *shot) error {
	m.t.e.cfg.crash("write")
	if err := x.w.Write(x.meta, x.runs); err != nil {
		return err
	}
	return x.w.Walk(func(image []byte) error {
		err := walkImage(x.stripe.id, x.stripe.log, image)
		if err != nil {
			// Not the disk, which would have failed to give the page, but the memory it was copied from.
			m.broken[x.stripe.id] = true
		}
		return err
	})
}

// nextSegment is greater than the number of every segment of the log, whatever becomes of its files.
func (m *imager) nextSegment() uint64 {
	var st walio.Stats
	m.t.wal.Stats(&st)
	return uint64(st.CurrentSegment + 1)
}

// walkImage walks the bytes of an image.
func walkImage(id int, log uint, image []byte) error {
	a, err := arena.View(image)
	if err != nil {
		return err
	}
	s := stripe{id: id, log: log}
	s.attach(a)
	return s.walk()
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

// cut lets the log drop what no image needs any more.
func (m *imager) cut() error {
	to := m.store.CutPoint()
	if to <= m.lastCut || slices.Contains(m.broken, true) {
		return nil
	}
	m.t.e.cfg.crash("cut")
	if err := m.t.wal.Cut(to, m.t); err != nil {
		return err
	}
	m.lastCut = to
	return nil
}

func (m *imager) count(x *shot, begun time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := &m.mu.stats
	st.LongestHold = max(st.LongestHold, x.held)
	if err != nil {
		st.Failed++
		if errors.Is(err, arena.ErrDamaged) {
			st.Broken++
		}
		return
	}
	st.Images++
	for _, r := range x.runs {
		st.Bytes += uint64(len(r.Data))
	}
	st.Seconds += time.Since(begun).Seconds()
}

// final writes the images of a clean stop: every stripe that changed, several at a time, not synced. The
// log is closed; commit is its last one. A stripe that fails is left to the log.
func (m *imager) final(commit uint64) error {
	var (
		mu      sync.Mutex
		writers []*ckpt.Writer
		errs    []error
	)
	// A copy buffer for each that works: pages that were touched before are worth keeping.
	workers := make(chan *imager, runtime.GOMAXPROCS(0))
	for range cap(workers) {
		workers <- &imager{t: m.t, store: m.store, broken: m.broken}
	}
	err := m.t.eachStripe(context.Background(), func(i int, s *stripe) error {
		own := <-workers
		defer func() { workers <- own }()
		w, err := own.finalStripe(s, commit)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			errs = append(errs, err)
		} else if w != nil {
			writers = append(writers, w)
		}
		return nil
	})
	if err == nil {
		err = m.store.Publish(ckpt.Update{
			Images: writers, Unsynced: true, SyncedThrough: commit, NextSegment: m.nextSegment(), Idle: m.idle(commit),
		})
	}
	return errors.Join(append(errs, err)...)
}

// finalStripe writes the last image of one stripe; nil if it does not need one.
func (m *imager) finalStripe(s *stripe, commit uint64) (*ckpt.Writer, error) {
	s.mu.Lock()
	if s.a == nil || s.tail.Load() == 0 || m.broken[s.id] {
		s.mu.Unlock()
		return nil, nil
	}
	x := m.take(s, commit)
	s.mu.Unlock()
	if err := m.write(&x); err != nil {
		return nil, err
	}
	return x.w, s.chunks.sync(&s.mu)
}

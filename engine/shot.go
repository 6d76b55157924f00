package engine

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/ckpt"
)

// shot is one stripe's image on its way to its slot.
type shot struct {
	w      *ckpt.Writer
	stripe *stripe
	commit uint64
	meta   ckpt.Meta
	copy   *arena.Copy
	tail   int64  // what the stripe's tail was: given back if the image fails
	holds  *Holds // of the stripe's lock for the copy
	err    error  // why it will not be published
	// Where it stands among the entries given to the log, and among the series made.
	entry, name int64
}

func (x *shot) fail(err error) {
	if x.err == nil {
		x.err = err
	}
}

// end is called when the image is published, or is not going to be.
func (x *shot) end() {
	if x.err != nil {
		x.stripe.tail.Add(x.tail)
	}
	x.stripe.imaging.Store(0)
}

func (x *shot) bytes() uint64 { return uint64(x.copy.Size()) }

// copyBuffer is what a stripe is copied into. It lies outside the Go heap, which would keep twice its size.
type copyBuffer struct {
	region *arena.Region
	data   []byte
	copy   arena.Copy
	w      *ckpt.Writer // that the copy is for
	holds  Holds        // of the stripe's lock for it
	loose  int          // rounds in a row that needed much less than it has
}

// looseRounds is how often a buffer may be much too large before it is made smaller: the first images of a stripe, and
// those of a burst of new series, need more than all that come after.
const looseRounds = 8

const (
	// copyFor is how long a stripe is locked at a time while it is copied, before the commit that the image is of. That is
	// enough for some 256 KiB, or a tenth of it where memory is slow because everybody uses it. Always a quarter of it cost
	// pushes to 8M series a fifth more CPU at full speed.
	copyFor = 50 * time.Microsecond
	// copyStep is how much is copied between two looks at the clock.
	copyStep = 32 << 10
	// copyRest is what may be left for the committer, who copies it in one hold of the lock. With 8M series, of which each
	// sample changes another extent, 20 MB change while a stripe is copied at full speed.
	copyRest = 256 << 10
)

// reserve makes the buffer large enough for size bytes of extents and what will have changed by the end, and touches it:
// a page fault every 4 KiB under the stripe's lock would take fifty times as long as the copy. Without memory for it the
// copy makes its own.
func (b *copyBuffer) reserve(size int) {
	size += size/8 + 1<<20
	if b.loose++; size > cap(b.data)*2/3 {
		b.loose = 0
	}
	if cap(b.data) >= size && b.loose < looseRounds {
		return
	}
	b.release()
	r, err := arena.Reserve(uint64(size))
	if err != nil {
		return
	}
	if r.Commit(uint64(size)) != nil {
		_ = r.Release()
		return
	}
	b.region, b.data = r, r.Bytes()
	for i := 0; i < len(b.data); i += arena.ExtentSize {
		b.data[i] = 1
	}
}

// release gives the memory back. The buffer can be reserved again.
func (b *copyBuffer) release() {
	if b.region != nil {
		_ = b.region.Release()
	}
	b.region, b.data, b.loose = nil, nil, 0
}

// prepare copies a stripe step by step while it is used, and what changes meanwhile again, until that is little or does not
// get less. The rest shoot copies, so that no push waits for long, however many series the stripe has.
func (m *imager) prepare(s *stripe, b *copyBuffer) {
	b.holds = Holds{}
	var size int
	s.hold(b, func() {
		b.w = m.store.Begin(s.id)
		size = b.copy.Begin(s.a, uint8(b.w.Slot), b.w.All)
	})
	b.reserve(size)
	b.copy.Into(b.data)
	for again := true; again; {
		for more := true; more; {
			s.hold(b, func() {
				for end := time.Now().Add(copyFor); more && time.Now().Before(end); {
					more = b.copy.Step(s.a, copyStep)
				}
			})
		}
		// What has changed meanwhile is less than what there was, and takes less time, in which less changes.
		before := size
		s.hold(b, func() { size = b.copy.Again(s.a) })
		again = size > copyRest && size < before/2
	}
}

// hold does something under the stripe's lock, and notes how long it took.
func (s *stripe) hold(b *copyBuffer, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := beginHold()
	do()
	b.holds.add(held)
}

// shoot completes the copy of a stripe whose pending entries are all in commits up to commit. Under the stripe's lock.
func (m *imager) shoot(s *stripe, commit uint64, b *copyBuffer) shot {
	held := beginHold()
	if s.root.mutation.Load()&1 == 1 {
		// Under the lock this cannot be; were it so, neither memory nor image could be trusted.
		exit(s.id, "an image was asked for", nil)
	}
	b.copy.Finish(s.a)
	x := shot{w: b.w, stripe: s, commit: commit, meta: s.meta(m.t, commit), copy: &b.copy, holds: &b.holds, tail: s.tail.Swap(0), entry: m.t.logged.Load(), name: m.t.counts.created.Load()}
	s.imaging.Store(x.tail)
	b.holds.add(held)
	return x
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

// release gives the copy buffers back, at the end.
func (m *imager) release() {
	for i := range m.bufs {
		m.bufs[i].release()
	}
	m.bufs = nil
}

// finish brings the shots to disk and publishes those that got there. An error concerns all of them.
func (m *imager) finish(ctx context.Context) error {
	m.spread(ctx)
	defer m.t.pace.end()
	commit := uint64(0)
	for i := range m.shots {
		x := &m.shots[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		x.fail(m.write(x))
		commit = x.commit
	}
	// An image must not know more than the log: the log first.
	if err := m.t.wal.Sync(ctx); err != nil {
		return err
	}
	if err := m.t.wal.WaitSynced(ctx, commit); err != nil {
		return err
	}
	for i := range m.shots {
		x := &m.shots[i]
		m.named[x.stripe.id].Store(uint32(x.meta.MaxIndex) + 1)
	}
	var syncs sync.WaitGroup
	for i := range m.shots {
		if x := &m.shots[i]; x.err == nil {
			syncs.Go(func() {
				if x.fail(x.stripe.chunks.sync(&x.stripe.mu)); x.err == nil {
					x.fail(x.w.Sync())
				}
			})
		}
	}
	syncs.Wait()
	u := ckpt.Update{SyncedThrough: m.t.wal.Synced(), NextSegment: m.nextSegment()}
	for i := range m.shots {
		if x := &m.shots[i]; x.err == nil {
			u.Images = append(u.Images, x.w)
		}
	}
	u.Idle = m.idle(u.SyncedThrough)
	m.t.e.cfg.crash("publish")
	err := m.store.Publish(u)
	m.t.e.cfg.crash("published")
	return err
}

// spread has the shots written in most of the time that is left until the next round.
func (m *imager) spread(ctx context.Context) {
	size := uint64(0)
	for i := range m.shots {
		size += m.shots[i].bytes()
	}
	m.cutting.slowly(size, m.interval)
	m.t.pace.begin(int64(size), m.interval*3/4, func() bool {
		return ctx.Err() != nil || m.t.e.closing.Load() || m.waiting.Load() > 0 || m.late()
	})
}

// write puts the copy into its slot and walks what lies there.
func (m *imager) write(x *shot) error {
	m.t.e.cfg.crash("write")
	if next := m.nextSegment(); next > 0 {
		x.meta.Segment = next - 1
	}
	if err := x.w.Write(x.meta, x.copy.Runs()); err != nil {
		return err
	}
	m.t.e.cfg.crash("written")
	return x.w.Walk(func(image []byte) error {
		err := walkImage(x.stripe.id, x.stripe.log, image)
		if err != nil {
			// Not the disk, which would have failed to give the page, but the memory it was copied from.
			m.broken[x.stripe.id] = true
		}
		return err
	})
}

// walkImage walks the bytes of an image that was written just now.
func walkImage(id int, log uint, image []byte) error {
	a, err := arena.View(image)
	if err != nil {
		return err
	}
	if a.Layout() == 1 {
		return damaged("layout 1 is read, but not written any more")
	}
	s := stripe{id: id, log: log}
	s.attach(a)
	return s.walk()
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
		workers <- &imager{t: m.t, store: m.store, broken: m.broken, bufs: make([]copyBuffer, 1)}
	}
	defer func() {
		for range cap(workers) {
			(<-workers).release()
		}
	}()
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
	s.mu.Unlock()
	m.prepare(s, &m.bufs[0])
	s.mu.Lock() // nothing is appended any more
	x := m.shoot(s, commit, &m.bufs[0])
	s.mu.Unlock()
	if err := m.write(&x); err != nil {
		return nil, err
	}
	return x.w, s.chunks.sync(&s.mu)
}

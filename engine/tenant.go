package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/walio"
)

// Tenant is one tenant's series: N stripes, a log, images. Its methods are safe for concurrent use.
type Tenant struct {
	e   *Engine
	id  string
	dir string

	identity ckpt.Identity
	log      uint // log2 of the number of stripes
	stripes  []stripe
	trail    atomic.Pointer[trail] // nil until something was sent

	epoch   uint64
	store   *ckpt.Store
	pace    *pace           // of writing to store
	wal     *walio.Log      // nil without a log
	images  *imager         // nil without images
	ctx     context.Context // of the background work
	stop    context.CancelFunc
	running sync.WaitGroup

	// open is held for reading by whoever looks into arenas without a stripe's lock, and for writing when they
	// are given back.
	open struct {
		sync.RWMutex
		closed bool
	}

	recovered RecoverStats
	metadata  *metadataStore

	// maxT is the newest timestamp accepted, MinInt64 before the first; it bounds how old a sample may be.
	// floor is what nothing may be older than, ever: ranges below it have been cut.
	maxT  atomic.Int64
	floor atomic.Int64

	pending  atomic.Int64 // entries on their way to the log
	logged   atomic.Int64 // entries given to the log since the process started
	counts   counts
	discards discards

	// The committer's working memory.
	drained []entry
	key     []byte
}

// counts are totals since the process started.
type counts struct {
	stored, duplicates, created atomic.Int64
	requests                    atomic.Int64
}

// Identifiers of a generation: what places a series, and how a reference is made. Changing either writes a
// new generation.
const (
	hashID    = 1 // xxhash64, seed 0, of the canonical key
	refLayout = 1 // index*N + stripe
)

// Files and folders of a tenant.
const (
	walDir     = "wal"
	chunksDir  = "chunks"
	ledgerFile = "ledger.jsonl"
)

func newTenant(e *Engine, id string, identity ckpt.Identity) *Tenant {
	t := &Tenant{
		e: e, id: id, dir: filepath.Join(e.cfg.Dir, id), identity: identity,
		log:      uint(bits.TrailingZeros32(identity.Stripes)),
		stripes:  make([]stripe, identity.Stripes),
		metadata: newMetadataStore(e.cfg.MetadataRetain), pace: &pace{e: e},
	}
	t.maxT.Store(math.MinInt64)
	t.floor.Store(math.MinInt64)
	for i := range t.stripes {
		s := &t.stripes[i]
		s.id, s.log, s.bias = i, t.log, uint32(i)
		s.uid = xxhash.Sum64String(fmt.Sprintf("%s/%d/%d", id, identity.Generation, i))
		s.reserve = stripeReserve(len(t.stripes))
		s.logged = e.cfg.WAL
		s.chunks = newChunkStore(e.cfg.FS, t.chunksPath(), i, identity.Generation)
	}
	return t
}

// chunksPath is where closed chunks are written. Without a log it is a folder that the next start removes.
func (t *Tenant) chunksPath() string {
	if !t.e.cfg.WAL {
		return filepath.Join(t.e.cfg.Dir, memoryDir, t.id, chunksDir)
	}
	return filepath.Join(t.dir, chunksDir)
}

// stripeReserve is the address space of one stripe: a few hundred tenants of any size fit into 47 bits.
func stripeReserve(stripes int) uint64 {
	return max(uint64(arena.MaxReserve)/uint64(stripes), 4<<30)
}

// ID is the tenant's id.
func (t *Tenant) ID() string { return t.id }

// count adds what became of a request to the totals.
func (t *Tenant) count(b *Batch, o *outcome) {
	c := &t.counts
	c.requests.Add(1)
	c.stored.Add(int64(o.stored))
	c.duplicates.Add(int64(o.duplicates))
	c.created.Add(int64(o.newSeries))
	for r, n := range o.rejected {
		if n > 0 {
			t.discards.add(Discard{Reason: Reason(r).String(), Samples: n})
		}
	}
	for _, d := range b.Discards {
		t.discards.add(d)
	}
	if b.Histograms > 0 {
		t.discards.add(Discard{Reason: reasonHistogram, Samples: b.Histograms})
	}
	if b.Exemplars > 0 {
		t.discards.add(Discard{Reason: reasonExemplar, Exemplars: b.Exemplars})
	}
}

// timeRange is the range of all samples held; empty (lo > hi) if there are none.
func (t *Tenant) timeRange() (lo, hi int64) {
	lo, hi = math.MaxInt64, math.MinInt64
	for i := range t.stripes {
		s := &t.stripes[i]
		s.mu.Lock()
		if s.a != nil {
			lo, hi = min(lo, s.root.minT), max(hi, s.root.maxT)
		}
		s.mu.Unlock()
	}
	return max(lo, t.floor.Load()), hi
}

func (t *Tenant) bufferedChunks() (n int64) {
	for i := range t.stripes {
		n += t.stripes[i].chunks.buffered.Load()
	}
	return n
}

// Live implements walio.Names.
func (t *Tenant) Live(i int) int {
	s := &t.stripes[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		return 0
	}
	return int(s.root.live)
}

// Each implements walio.Names: the series of a stripe with an index above after, ascending, as far as the newest
// image knows them. That is all that the log's dropped segments name; and nothing that the log has not got, since
// a series that is lost before it is logged comes back under another index, and the log's checkpoint must not hold
// the first one. Labels never change, so that only the references are copied under the lock. Called for the imager.
func (t *Tenant) Each(i int, after uint64) iter.Seq2[uint64, []byte] {
	return func(yield func(ref uint64, key []byte) bool) {
		type named struct {
			index uint32
			set   arena.Ref
		}
		var (
			s    = &t.stripes[i]
			step []named
			key  []byte
			end  = uint64(t.images.named[i].Load())
		)
		for next := after + 1; ; {
			step = step[:0]
			s.mu.Lock()
			if s.a != nil {
				for ; next < end && len(step) < lockStep; next++ {
					if r := s.root.index.Get(s.a, uint32(next)); r != 0 {
						step = append(step, named{uint32(next), arena.At[record](s.a, r).labels})
					}
				}
			}
			s.mu.Unlock()
			if len(step) == 0 {
				return
			}
			for _, n := range step {
				key = s.appendKey(key[:0], n.set)
				if !yield(s.ref(n.index), key) {
					return
				}
			}
		}
	}
}

// start opens the log for writing and begins the background work. The epoch is raised first: whatever an
// earlier owner of the directory still writes when it wakes is ignored from here on.
func (t *Tenant) start(store *ckpt.Store, epoch uint64, res *walio.Result) error {
	t.store, t.epoch = store, epoch
	cfg := &t.e.cfg
	if cfg.WAL {
		pos := res.Position
		err := store.Publish(ckpt.Update{Epoch: epoch, EpochStart: pos.Commit + 1, SyncedThrough: res.MaxSynced, NextSegment: uint64(pos.Segment)})
		if err != nil {
			return err
		}
		t.wal, err = walio.Start(walio.Options{
			PaceCheckpoint: t.paceCheckpoint,
			FS:             cfg.FS, Dir: filepath.Join(t.dir, walDir), Identity: t.walIdentity(), Epoch: epoch, Resume: pos,
			Sync: cfg.Sync, SyncInterval: cfg.SyncInterval, Compression: cfg.Compression, SegmentSize: cfg.SegmentSize,
			Logger: cfg.Logger.With("tenant", t.id),
		}, t)
		if err != nil {
			return err
		}
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	t.running.Go(func() { t.run(t.ctx) })
	if cfg.WAL && cfg.Checkpoint {
		t.images = newImager(t, store) // catchUp sets it going
	}
	return nil
}

// enter begins a query: the arenas stay until leave.
func (t *Tenant) enter() error {
	t.open.RLock()
	if t.open.closed {
		t.open.RUnlock()
		return unavailable("tenant %s: the ingester is stopping", t.id)
	}
	return nil
}

func (t *Tenant) leave() { t.open.RUnlock() }

// close stops the tenant: background work, then the log with its last commit, then the images of a clean
// stop. Nothing is appended any more.
func (t *Tenant) close() error {
	var errs []error
	if t.stop != nil {
		t.stop()
		t.running.Wait()
	}
	if t.wal != nil {
		err := t.wal.Close()
		if err == nil && t.images != nil {
			err = t.images.final(t.wal.Written())
		} else if err == nil {
			// Damage to the log is told from a torn end by this.
			err = t.store.Publish(ckpt.Update{SyncedThrough: t.wal.Written()})
		}
		errs = append(errs, err)
	}
	if t.images != nil {
		t.images.release()
	}
	if t.store != nil {
		errs = append(errs, t.store.Close())
	}
	t.open.Lock() // waits for the queries under way
	defer t.open.Unlock()
	t.open.closed = true
	for i := range t.stripes {
		s := &t.stripes[i]
		s.mu.Lock()
		errs = append(errs, s.chunks.close(), s.detach())
		s.mu.Unlock()
	}
	return errors.Join(errs...)
}

// run does the tenant's background work until ctx ends: closed chunks go to their files, metadata is purged.
func (t *Tenant) run(ctx context.Context) {
	flush := time.NewTicker(time.Second / 2)
	defer flush.Stop()
	purge := time.NewTicker(time.Minute)
	defer purge.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-purge.C:
			t.metadata.purge(t.e.cfg.Now())
		case <-flush.C:
			err := t.flushChunks()
			if err != nil && !failing {
				t.e.cfg.Logger.Error("closed chunks cannot be written; they stay in memory until the disk works again", "tenant", t.id, "err", err)
			} else if err == nil && failing {
				t.e.cfg.Logger.Info("closed chunks are written again", "tenant", t.id)
			}
			failing = err != nil
		}
	}
}

func (t *Tenant) flushChunks() error {
	var errs []error
	for i := range t.stripes {
		if s := &t.stripes[i]; s.chunks.buffered.Load() > 0 {
			errs = append(errs, s.chunks.flush(&s.mu))
		}
	}
	return errors.Join(errs...)
}

// raiseTo makes a at least v.
func raiseTo(a *atomic.Int64, v int64) {
	for {
		old := a.Load()
		if old >= v || a.CompareAndSwap(old, v) {
			return
		}
	}
}

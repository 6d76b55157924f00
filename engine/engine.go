package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/walio"
)

// Engine holds the tenants of one data directory.
type Engine struct {
	cfg      Config
	dir      *directory
	matchers *matchCache
	progress progress
	forecast forecast
	opened   time.Time
	starts   startFile     // as this start has counted it; Recover's
	limiter  *rate.Limiter // of the writing of images; nil = no limit

	// appending is held for reading by every append, and for writing by Close.
	appending sync.RWMutex
	closed    bool
	ready     atomic.Bool
	closing   atomic.Bool

	creating sync.Mutex // one new tenant at a time

	mu struct {
		sync.RWMutex
		tenants map[string]*Tenant
	}
}

// Open locks the data directory and checks whose it is. It reads no data yet: Recover does.
//
// A *LockedError says that another process holds the directory, ErrWrongDirectory that it belongs to another
// instance.
func Open(cfg Config) (*Engine, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, opened: time.Now()}
	e.mu.tenants = map[string]*Tenant{}
	if cfg.CheckpointRate > 0 {
		e.limiter = rate.NewLimiter(rate.Limit(cfg.CheckpointRate), imageBurst)
	}
	var err error
	if e.matchers, err = newMatchCache(cfg.MatchCacheBytes); err != nil {
		return nil, fmt.Errorf("engine: make the matcher cache: %w", err)
	}
	if e.dir, err = openDirectory(&e.cfg); err != nil {
		e.matchers.close()
		return nil, err
	}
	return e, nil
}

// Instance is the id that the data directory belongs to.
func (e *Engine) Instance() string { return e.dir.instance }

// Recover reads back what the directory holds; pushes are accepted and queries answered when it returns
// nil. If ctx ends it returns at once; nothing is harmed, and the next start begins again.
func (e *Engine) Recover(ctx context.Context) error {
	starts, err := e.dir.begun()
	if err != nil { // it serves the operator only
		e.cfg.Logger.Error("this start will not count, should it fail", "err", err)
	}
	e.starts = starts
	e.forecast.begin(starts)
	if starts.careful() {
		e.cfg.Logger.Warn("the starts before this one did not become ready; images are written while the log is replayed, so that what this one gets done stays done",
			"failed_starts", starts.Failed-1)
	}
	stop := e.logProgress()
	err = e.recover(ctx)
	stop()
	if err == nil {
		e.learn(time.Since(e.opened))
		e.ready.Store(true)
	}
	e.progress.end(err)
	if err != nil {
		return err
	}
	if err := e.dir.writeStarts(startFile{Speed: e.forecast.speed}); err != nil {
		e.cfg.Logger.Error("this start counts as a failed one, although it is ready", "err", err)
	}
	return nil
}

// settled notes that a careful start has got something done.
func (e *Engine) settled() {
	if e.starts.Settled {
		return
	}
	e.starts.Settled = true
	if err := e.dir.writeStarts(e.starts); err != nil {
		e.cfg.Logger.Error("if this start fails, the next one goes in smaller steps than it needs to", "err", err)
	}
}

// logProgress says every few seconds how far a long recovery is.
func (e *Engine) logProgress() (stop func()) {
	tick, done := time.NewTicker(progressEvery), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				e.cfg.Logger.Info(e.progress.get().String())
			}
		}
	})
	return func() { tick.Stop(); close(done); wg.Wait() }
}

const progressEvery = 3 * time.Second

func (e *Engine) recover(ctx context.Context) error {
	if !e.cfg.WAL {
		e.cfg.Logger.Warn("the log is off: data is in memory only and is gone when this process ends (-ingester.wal-enabled)")
	}
	ids, err := e.tenantDirs()
	if err != nil {
		return err
	}
	if !e.cfg.Recover {
		return e.setAside(ids, "recovery is off (-ingester.recover-from-wal)")
	}
	for _, id := range ids {
		e.progress.tenant(id)
		if err := e.recoverTenant(ctx, id); err != nil {
			return fmt.Errorf("engine: recover tenant %q from %s: %w", id, filepath.Join(e.cfg.Dir, id), err)
		}
	}
	if !e.cfg.WAL {
		return e.setAside(ids, "the log is off; what it held is in memory now")
	}
	return nil
}

// limit holds the writing of images to the configured rate. Every tenant's images count.
func (e *Engine) limit(n int) {
	if e.limiter != nil && !e.closing.Load() { // a clean stop is not made to wait
		_ = e.limiter.WaitN(context.Background(), n)
	}
}

// tenantDirs lists the folders that hold a tenant. Others (lost+found, and ours) are passed over.
func (e *Engine) tenantDirs() ([]string, error) {
	entries, err := e.cfg.FS.ReadDir(e.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("engine: list the data directory: %w", err)
	}
	var ids []string
	for _, d := range entries {
		if !d.IsDir() || ValidTenant(d.Name()) != nil {
			continue
		}
		if ckpt.Exists(e.ckptConfig(d.Name(), &pace{e: e})) || e.hasLog(d.Name()) {
			ids = append(ids, d.Name())
		}
	}
	return ids, nil
}

// hasLog reports whether a folder holds log files: then it is a tenant's, also if everything that would say how to
// read it is gone, and to pass over it would lose it in silence.
func (e *Engine) hasLog(id string) bool {
	entries, err := e.cfg.FS.ReadDir(filepath.Join(e.cfg.Dir, id, walDir))
	return len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// setAside moves tenants' folders to a folder of this moment. Nothing is deleted.
func (e *Engine) setAside(ids []string, why string) error {
	if len(ids) == 0 {
		return nil
	}
	to := filepath.Join(e.cfg.Dir, asideDir, e.cfg.Now().UTC().Format("20060102T150405.000Z"))
	if err := disk.MkdirAllSync(e.cfg.FS, to, 0o755); err != nil {
		return fmt.Errorf("engine: make %s to set existing data aside: %w", to, err)
	}
	for _, id := range ids {
		if err := e.cfg.FS.Rename(filepath.Join(e.cfg.Dir, id), filepath.Join(to, id)); err != nil {
			return fmt.Errorf("engine: set tenant %q aside in %s: %w", id, to, err)
		}
		if t := e.Tenant(id); t != nil { // recovered: its closed chunks are read there from now on
			for i := range t.stripes {
				t.stripes[i].chunks.moved(filepath.Join(e.cfg.Dir, id, chunksDir), filepath.Join(to, id, chunksDir))
			}
		}
	}
	e.cfg.Logger.Warn("existing data was set aside: "+why, "tenants", len(ids), "to", to)
	return errors.Join(e.cfg.FS.SyncDir(to), e.cfg.FS.SyncDir(e.cfg.Dir))
}

func (e *Engine) ckptConfig(tenant string, p *pace) ckpt.Config {
	return ckpt.Config{FS: e.cfg.FS, Dir: filepath.Join(e.cfg.Dir, tenant), Logger: e.cfg.Logger, RateLimit: p.wait}
}

func (e *Engine) recoverTenant(ctx context.Context, id string) error {
	p := &pace{e: e}
	store, err := ckpt.Open(e.ckptConfig(id, p), id)
	if err != nil {
		return err
	}
	identity := store.Catalogue().Identity
	if identity.HashID != hashID || identity.RefLayout != refLayout {
		return errors.Join(store.Close(), fmt.Errorf("%w: hash %d and reference layout %d are unknown to this version", ErrWrongDirectory, identity.HashID, identity.RefLayout))
	}
	t := newTenant(e, id, identity)
	t.pace = p
	begun := time.Now()
	if err := t.recover(ctx, store, &e.progress); err != nil {
		if t.store == nil {
			err = errors.Join(err, store.Close())
		}
		return errors.Join(err, t.close())
	}
	r := &t.recovered
	e.cfg.Logger.Info("recovered", "tenant", id, "seconds", time.Since(begun).Seconds(),
		"image_seconds", r.Images.Seconds(), "image_bytes", r.ImageBytes,
		"replay_seconds", r.Replay.Seconds(), "log_bytes", r.LogBytes, "samples", r.Samples, "series", r.Series, "losses", r.Losses)
	if r.Unknown+r.Misplaced+r.Stale > 0 {
		e.cfg.Logger.Error("the log holds entries that contradict what was recovered; the ledger says what damage has cost", "tenant", id,
			"of_unknown_series", r.Unknown, "misplaced_series", r.Misplaced, "older_than_known", r.Stale, "ledger", filepath.Join(e.cfg.Dir, id, ledgerFile))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.tenants[id] = t
	return nil
}

// Append stores a batch of a tenant, which is made if it is new. It returns when everything that the answer
// says is stored is as durable as the log's class promises.
//
// A *SampleError says that some samples were refused for good and all others stored. ErrUnavailable says
// that the sender should try again, ErrBadTenant that the id cannot be used.
func (e *Engine) Append(ctx context.Context, tenant string, b *Batch) (AppendResult, error) {
	if e.closing.Load() {
		return AppendResult{}, unavailable("the ingester is stopping")
	}
	e.appending.RLock()
	defer e.appending.RUnlock()
	if e.closed || !e.ready.Load() {
		return AppendResult{}, unavailable("%s", e.progress.get())
	}
	t := e.Tenant(tenant)
	b.work.begin(t)
	defer b.work.end() // also of a request that is not decoded, or refused
	if err := b.Fill(); err != nil {
		return AppendResult{}, err
	}
	if t == nil {
		var err error
		if t, err = e.create(tenant); err != nil {
			return AppendResult{}, err
		}
	}
	return t.append(ctx, b)
}

// Tenant returns a tenant, nil if it is not known.
func (e *Engine) Tenant(id string) *Tenant {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.mu.tenants[id]
}

// Tenants returns all tenants, ordered by id.
func (e *Engine) Tenants() []*Tenant {
	e.mu.RLock()
	defer e.mu.RUnlock()
	out := make([]*Tenant, 0, len(e.mu.tenants))
	for _, t := range e.mu.tenants {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *Tenant) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return out
}

// create makes a tenant: its folder and catalogue are durable before its first sample is accepted.
func (e *Engine) create(id string) (*Tenant, error) {
	if err := ValidTenant(id); err != nil {
		return nil, err
	}
	e.creating.Lock() // not mu: a slow disk holds up new tenants, nobody else
	defer e.creating.Unlock()
	if t := e.Tenant(id); t != nil {
		return t, nil
	}
	identity := ckpt.Identity{
		Tenant: id, Generation: rand.Uint64() | 1, Stripes: uint32(e.cfg.Stripes), HashID: hashID, RefLayout: refLayout,
	}
	t := newTenant(e, id, identity)
	err := t.init()
	if errors.Is(err, fs.ErrExist) {
		// An earlier attempt failed and could not be taken back either; or somebody put the folder there meanwhile.
		if err = e.recoverTenant(context.Background(), id); err == nil {
			return e.Tenant(id), nil
		}
	}
	if err != nil {
		return nil, unavailable("create tenant %s: %w", id, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.tenants[id] = t
	return t, nil
}

// init makes a new tenant's files. fs.ErrExist says that it has a catalogue already.
func (t *Tenant) init() error {
	cfg := &t.e.cfg
	if err := disk.MkdirAllSync(cfg.FS, t.chunksPath(), 0o755); err != nil {
		return err
	}
	if !cfg.WAL {
		return t.start(nil, 1, nil)
	}
	// A folder that an interrupted creation left has no catalogue, and nothing was acknowledged in it.
	store, err := ckpt.Create(t.e.ckptConfig(t.id, t.pace), t.identity)
	if err != nil {
		return err
	}
	res, err := walio.Recover(context.Background(), walio.RecoverOptions{
		FS: cfg.FS, Dir: filepath.Join(t.dir, walDir), Identity: t.walIdentity(), Epoch: 1, Logger: cfg.Logger,
	}, &replayer{t: t})
	if err == nil {
		err = t.start(store, 1, &res)
	}
	if err == nil {
		err = t.catchUp(context.Background(), nil, 0)
	}
	if err != nil {
		// Left behind, the catalogue would refuse every later attempt, until the next start.
		return errors.Join(err, store.Close(), ckpt.Discard(t.e.ckptConfig(t.id, t.pace)))
	}
	return nil
}

// Progress says how far the start is.
func (e *Engine) Progress() Progress { return e.progress.get() }

// Close stops accepting, syncs the logs and writes the images of a clean stop. Nothing acknowledged is lost
// if it fails or is interrupted: the log has it.
func (e *Engine) Close() error {
	e.closing.Store(true)
	e.appending.Lock()
	if e.closed {
		e.appending.Unlock()
		return nil
	}
	e.closed = true
	e.appending.Unlock()
	var errs []error
	for _, t := range e.Tenants() {
		if err := t.close(); err != nil {
			errs = append(errs, fmt.Errorf("engine: stop tenant %q: %w", t.id, err))
		}
	}
	e.matchers.close()
	return errors.Join(append(errs, e.dir.close())...)
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/walio"
)

// RecoverStats says what a tenant's recovery found and how long it took.
type RecoverStats struct {
	Images                    time.Duration
	Replay                    time.Duration
	ImageBytes, LogBytes      int64
	Entries, Names            int64  // of the log that were read, and of them, names of series
	Series, Samples           uint64 // replayed from the log
	Losses                    int    // entries added to the loss ledger
	Unknown, Misplaced, Stale int64
	ImagesDamaged             int64
	// ImagesAhead are images of commits that the log does not have: somebody removed log files, or the disk
	// forgot what it had confirmed. The image is used, and written again, to both slots, before the tenant is ready.
	ImagesAhead int
}

// tailWindow is how many samples are applied together behind images. The memory that it takes, 16 bytes a sample, is on top of
// that of the images, which is nearly all that there was before: a start in a group with little more must not be killed.
const tailWindow = 3 << 20

// recover brings a tenant back: images, then the log behind them. Nothing on disk is changed but torn ends
// and damage that the log's rules say to repair, so that it can end at any moment and begin again.
func (t *Tenant) recover(ctx context.Context, store *ckpt.Store, p *progress) error {
	cat := store.Catalogue()
	t.floor.Store(cat.Floor)
	began := time.Now()
	from, segment, err := t.loadImages(ctx, store, p)
	if err != nil {
		return err
	}
	t.recovered.Images = time.Since(began)
	t.e.cfg.crash("recover-images")
	if err := t.passChunkFiles(); err != nil {
		return err
	}

	began = time.Now()
	r := &replayer{t: t}
	p.phase(phaseScan, 0)
	opts := walio.RecoverOptions{
		FS: t.e.cfg.FS, Dir: filepath.Join(t.dir, walDir), Identity: t.walIdentity(), Epoch: cat.Epoch + 1,
		From: from, SyncedThrough: cat.SyncedThrough, MinCommit: maxOf(from, cat.SyncedThrough),
		MinSegment: int(max(segment, cat.NextSegment)),
		AsideDir:   filepath.Join(t.e.cfg.Dir, asideDir, t.id), Ledger: filepath.Join(t.dir, ledgerFile),
		Progress: p.log,
		Logger:   t.e.cfg.Logger,
	}
	if t.recovered.ImageBytes > 0 {
		opts.Window = tailWindow
	}
	if t.e.FailedStarts() >= carefulAfter {
		done := t.recoverCarefully(store, cat.Epoch, &opts)
		defer done()
	}
	res, err := walio.Recover(ctx, opts, r)
	if err != nil {
		return err
	}
	t.e.cfg.crash("recover-log")
	t.recovered.Replay = time.Since(began)
	t.recovered.LogBytes, t.recovered.Losses = res.Bytes, len(res.Losses)
	t.recovered.Entries, t.recovered.Names = int64(res.Read.Series+res.Read.Samples), int64(res.Read.Series)
	t.recovered.Series, t.recovered.Samples = uint64(r.series.Load()), uint64(r.samples.Load())
	t.recovered.Unknown, t.recovered.Misplaced, t.recovered.Stale = r.unknown.Load(), r.misplaced.Load(), r.stale.Load()
	if err := t.finishStripes(&res); err != nil {
		return err
	}
	if err := disk.MkdirAllSync(t.e.cfg.FS, t.chunksPath(), 0o755); err != nil {
		return err
	}
	if err := t.start(store, cat.Epoch+1, &res); err != nil {
		return err
	}
	return t.catchUp(ctx, from, res.LastCommit)
}

// catchUp writes the stripes whose images know more than the log again: until that is durable twice, one bad
// byte would lose what the log no longer tells.
func (t *Tenant) catchUp(ctx context.Context, from []uint64, last uint64) error {
	var ahead []int
	for i, commit := range from {
		if commit > last && t.stripes[i].a != nil {
			ahead = append(ahead, i)
		}
	}
	t.recovered.ImagesAhead = len(ahead)
	for n := range 2 * len(ahead) {
		if t.images == nil {
			break
		}
		i := ahead[n/2] // twice each: both slots
		if err := t.images.round(ctx, []int{i}); disk.IsFull(err) {
			t.e.cfg.Logger.Error("images that know more than the log cannot be written again before there is room on the disk", "tenant", t.id, "stripe", i, "err", err)
			t.images.postpone(ahead)
			break
		} else if err != nil {
			return fmt.Errorf("write the image of stripe %d again, which holds commit %d, the log ends at %d: %w", i, from[i], last, err)
		}
	}
	if t.recovered.ImagesAhead > 0 {
		t.e.cfg.Logger.Warn("images held commits that the log does not have; were log files removed?", "tenant", t.id, "stripes", t.recovered.ImagesAhead, "log_ends", last)
	}
	t.e.cfg.crash("start")
	if t.images != nil {
		t.running.Go(func() { t.images.run(t.ctx) })
	}
	return nil
}

// loadImages reads every stripe's newest sound image. It returns the commits that they hold, and a number greater
// than that of every log segment that they know: 0 without an image, since a log that begins with another number
// cannot be read by stock tools.
func (t *Tenant) loadImages(ctx context.Context, store *ckpt.Store, p *progress) (from []uint64, segment uint64, err error) {
	from = make([]uint64, len(t.stripes))
	segments := make([]uint64, len(t.stripes))
	var bytes, damaged atomic.Int64
	p.phase(phaseImages, int64(len(t.stripes)))
	err = t.eachStripe(ctx, func(i int, s *stripe) error {
		l, err := store.Load(i, func(im *ckpt.Image) error {
			segments[i] = im.Meta.Segment + 1
			bytes.Add(int64(im.Size()))
			return t.adopt(s, im)
		})
		if err != nil {
			return fmt.Errorf("tenant %s: stripe %d: %w", t.id, i, err)
		}
		for _, f := range l.Failed {
			if errors.Is(f, ckpt.ErrUnfinished) {
				t.e.cfg.Logger.Info("an image was being written when the process stopped; the one before it is used, or the log", "tenant", t.id, "stripe", i, "err", f)
				continue
			}
			damaged.Add(1)
			s.chunks.lost = !l.Found
			t.e.cfg.Logger.Error("an image is damaged; the one before it and the log are used", "tenant", t.id, "stripe", i, "err", f)
		}
		if l.Found {
			from[i] = l.Entry.Commit
		}
		p.add(1)
		return nil
	})
	t.recovered.ImageBytes, t.recovered.ImagesDamaged = bytes.Load(), damaged.Load()
	return from, maxOf(segments, 0), err
}

// adopt makes an image the stripe, if it is sound.
func (t *Tenant) adopt(s *stripe, im *ckpt.Image) error {
	if im.Meta.Layout > arenaLayout {
		return fmt.Errorf("image layout %d was written by a newer version; this one knows %d: start that version, or recover from the log alone by moving %s away",
			im.Meta.Layout, arenaLayout, filepath.Join(t.dir, "images"))
	}
	a, err := arena.Load(s.reserve, im.Size(), im.ReadTo)
	if err != nil {
		return err
	}
	if err := s.take(a, im.Meta.Layout); err != nil {
		return errors.Join(err, s.detach())
	}
	s.since.set(int64(im.Size()), int64(im.Meta.MaxIndex)+1, time.Now())
	lengths := map[uint32]int64{}
	for _, c := range im.Meta.Chunks {
		lengths[uint32(c.ID)] = c.Length
	}
	if err := s.chunks.adopt(filepath.Join(t.dir, chunksDir), lengths); errors.Is(err, errNewerChunks) {
		return errors.Join(fmt.Errorf("closed chunks: %w; start the version that wrote them", err), s.detach())
	} else if err != nil {
		// The image is right, its chunks are not: what they hold cannot be read, everything else can.
		t.e.cfg.Logger.Error("closed chunks are missing; queries that need them fail", "tenant", t.id, "stripe", s.id, "err", err)
	}
	return nil
}

// passChunkFiles makes the replay, which closes chunks again, use new files: those that a dead process wrote
// after the image are still there.
func (t *Tenant) passChunkFiles() error {
	files, err := t.chunkFiles()
	if err != nil {
		return err
	}
	for i := range t.stripes {
		s := &t.stripes[i]
		if files[i].greatest == 0 {
			continue
		}
		if s.a == nil {
			if err := s.open(); err != nil {
				return err
			}
		}
		s.root.nextFile = max(s.root.nextFile, files[i].greatest+1)
		s.a.TouchRoot()
		if s.chunks.lost {
			t.setChunksAside(files[i].unnamed)
			continue
		}
		s.chunks.orphans = files[i].unnamed
	}
	return nil
}

// setChunksAside keeps the chunk files of a stripe whose images are all lost: what is in them and no longer in
// the log is nowhere else.
func (t *Tenant) setChunksAside(names []string) {
	to := filepath.Join(t.e.cfg.Dir, asideDir, t.id, "chunks-"+t.e.cfg.Now().UTC().Format("20060102T150405.000Z"))
	err := disk.MkdirAllSync(t.e.cfg.FS, to, 0o755)
	for _, name := range names {
		if err == nil {
			err = t.e.cfg.FS.Rename(name, filepath.Join(to, filepath.Base(name)))
		}
	}
	if err == nil {
		err = t.e.cfg.FS.SyncDir(to)
	}
	t.e.cfg.Logger.Error("no image of a stripe is left; its closed chunks are kept, but not answered", "tenant", t.id, "files", names, "to", to, "err", err)
}

// finishStripes makes what must hold before the first append: no index is used a second time.
func (t *Tenant) finishStripes(res *walio.Result) error {
	for i := range t.stripes {
		s := &t.stripes[i]
		if s.a == nil && res.MaxIndex[i] > 0 {
			if err := s.open(); err != nil {
				return err
			}
		}
		if s.a == nil {
			continue
		}
		if s.passIndex(res.MaxIndex[i]) {
			s.replayed = true
		}
		if s.replayed {
			// The images are behind, if only by a reference that nobody's name is known of: they may not move on as
			// those of a stripe that got nothing.
			s.root.drained = res.Position.Commit
			s.tail.Add(1)
			s.since.log(-t.recovered.Entries, -t.recovered.Names)
		}
		s.a.TouchRoot()
		raiseTo(&t.maxT, s.root.maxT)
	}
	return nil
}

// passIndex makes the next series' index greater than one that the log has seen, and reports whether it was not.
// An index beyond the greatest one was never given.
func (s *stripe) passIndex(index uint64) bool {
	if index >= maxIndex || uint32(index) < s.root.next {
		return false
	}
	s.root.next = uint32(index) + 1
	return true
}

// stripeFiles is what lies in the chunk directory of a stripe.
type stripeFiles struct {
	greatest uint32
	unnamed  []string // files that the image does not know
}

func (t *Tenant) chunkFiles() ([]stripeFiles, error) {
	out := make([]stripeFiles, len(t.stripes))
	dir := filepath.Join(t.dir, chunksDir)
	entries, err := t.e.cfg.FS.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // an empty folder is easily lost in a backup
		return nil, fmt.Errorf("engine: list chunk files: %w", err)
	}
	for _, e := range entries {
		i, id, ok := parseChunkFileName(e.Name())
		if !ok || i >= len(out) {
			continue
		}
		out[i].greatest = max(out[i].greatest, id)
		if _, named := t.stripes[i].chunks.files.m[id]; !named {
			out[i].unnamed = append(out[i].unnamed, filepath.Join(dir, e.Name()))
		}
	}
	return out, nil
}

func (t *Tenant) walIdentity() walio.Identity {
	return walio.Identity{Tenant: t.id, Generation: t.identity.Generation, Stripes: t.identity.Stripes, HashID: hashID, RefLayout: refLayout}
}

func maxOf(v []uint64, m uint64) uint64 {
	for _, x := range v {
		m = max(m, x)
	}
	return m
}

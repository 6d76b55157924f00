package takein

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/engine"
)

// Options say what to take over, and into what.
type Options struct {
	// Source is the directory of a tenant of Prometheus, Cortex or Mimir, or one that holds such directories.
	Source string
	// Tenant is the id under which it is taken over; empty if Source holds several, which keep their names.
	Tenant string
	// Default is the id if Source is the directory of one tenant, and Tenant is empty.
	Default string
	// Engine is how the data directory is written; Engine.Dir is that directory. The caller holds its lock.
	Engine engine.Config
	// Damaged takes what can be read of a damaged source. Without it nothing is taken over then.
	Damaged bool
	// Progress is called often, with the bytes read so far; may be nil.
	Progress func(what string, done, total int64)
}

var (
	// ErrExists says that the data directory has the tenant, and not from this source.
	ErrExists = errors.New("takein: the tenant exists")
	// ErrDamaged says that not everything of the source can be read, and Options.Damaged is off.
	ErrDamaged = errors.New("takein: the source is damaged")
)

// importTarget is how many seconds of log there may be behind the images while a tenant is taken in: images are of use
// only at the end, and the log is what they save.
const importTarget = 10 * time.Second

// Run takes over all tenants of the source, one after another; those that were taken over from it before are passed
// over. When it returns nil all that is reported is durable. An error leaves the tenants before the one that it is
// about, and of that one nothing.
func Run(ctx context.Context, o Options) ([]*Report, error) {
	if o.Engine.FS == nil {
		o.Engine.FS = disk.OS
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	if old, err := ChunkStorageWAL(o.Source); err != nil || old != "" {
		if err != nil {
			return nil, err
		}
		return o.chunkStorage(ctx, o.Source)
	}
	if o.Tenant == "" && hasLog(o.Source) {
		o.Tenant = o.Default
	}
	found, err := Find(o.Source, o.Tenant)
	if err != nil {
		return nil, err
	}
	var reports []*Report
	for _, n := range found {
		r, err := o.one(ctx, n)
		if err != nil {
			return reports, fmt.Errorf("tenant %s: %w", n.Tenant, err)
		}
		reports = append(reports, r)
	}
	return reports, nil
}

func (o *Options) one(ctx context.Context, n Named) (*Report, error) {
	final := filepath.Join(o.Engine.Dir, n.Tenant)
	if r, err := o.before(n); r != nil || err != nil {
		return r, err
	}
	src, err := open(n.Dir)
	if err != nil {
		return nil, err
	}
	r := &Report{Tenant: n.Tenant, Source: n.Dir, Time: time.Now().UTC()}
	t := newTakeover(src, r, o.Progress)
	if err := t.survey(ctx); err != nil {
		return nil, err
	}
	if err := o.accept(r); err != nil {
		return nil, err
	}
	tmp := engine.ImportDir(o.Engine.Dir)
	if err := o.Engine.FS.RemoveAll(tmp); err != nil {
		return nil, err
	}
	err = o.fill(ctx, t, tmp, func(e *engine.Engine) error { return t.feed(ctx, e) })
	if err == nil {
		err = o.publish(r, filepath.Join(tmp, n.Tenant), final)
	}
	return r, errors.Join(err, o.Engine.FS.RemoveAll(tmp))
}

// before returns the report of the run that took the tenant over, nil if there is no such tenant.
func (o *Options) before(n Named) (*Report, error) {
	final := filepath.Join(o.Engine.Dir, n.Tenant)
	if _, err := o.Engine.FS.Stat(final); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	r, err := readReport(o.Engine.FS, final)
	if err != nil {
		return nil, err
	}
	if r == nil || r.Source != n.Dir {
		return nil, fmt.Errorf("%w in %s, and was not taken over from %s; choose another id, or move that folder away", ErrExists, final, n.Dir)
	}
	r.Before = true
	return r, nil
}

// Check says what is wrong with a source without reading it through, nil if it can be tried.
func Check(source, tenant string) error {
	if old, err := ChunkStorageWAL(source); err != nil || old != "" {
		return err
	}
	_, err := Find(source, tenant)
	return err
}

// accept refuses a damaged source.
func (o *Options) accept(r *Report) error {
	if len(r.Lost) == 0 || o.Damaged {
		return nil
	}
	return fmt.Errorf("%w: %s; nothing was taken over. With -damaged, ingestctl import takes what can be read", ErrDamaged, strings.Join(r.Lost, "; "))
}

// fill makes the tenant in a data directory of its own.
func (o *Options) fill(ctx context.Context, t *takeover, dir string, feed func(*engine.Engine) error) error {
	c := o.Engine
	c.Dir, c.WAL, c.Recover, c.Checkpoint, c.CheckpointRate = dir, true, true, true, 0
	c.RestartTarget, c.CheckpointDuration = importTarget, time.Hour
	c.Instance, c.InstanceGiven, c.Adopt = "", false, false
	e, err := engine.Open(c)
	if err != nil {
		return err
	}
	err = e.Recover(ctx)
	if err == nil {
		err = feed(e)
	}
	if err = errors.Join(err, e.Close()); err != nil {
		return err
	}
	if err := t.src.unchanged(); err != nil {
		return err
	}
	return o.accept(t.report) // damage that only decoding has found
}

// publish puts the tenant, which is durable, in its place.
func (o *Options) publish(r *Report, from, final string) error {
	fsys := o.Engine.FS
	if r.Samples == 0 {
		r.Notes = append(r.Notes, "there is no float sample in it: no tenant was made")
		return nil
	}
	if err := r.write(fsys, from); err != nil {
		return err
	}
	if err := fsys.Rename(from, final); err != nil {
		return err
	}
	return errors.Join(fsys.SyncDir(filepath.Dir(from)), fsys.SyncDir(o.Engine.Dir))
}

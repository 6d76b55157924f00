package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
)

// Names in the data directory that are ours begin with '@', which no tenant id can.
const (
	ownDir   = "@rekindle"
	asideDir = "@aside"
	// memoryDir holds closed chunks of a process without a log; they mean nothing to the next one.
	memoryDir = "@memory"

	lockFile     = "lock"
	ownerFile    = "owner.json"
	instanceFile = "instance.json"
)

// owner says who holds the directory: for the second process that wants it, and for the operator.
type owner struct {
	PID      int       `json:"pid"`
	Host     string    `json:"host"`
	Instance string    `json:"instance"`
	Since    time.Time `json:"since"`
}

func (o owner) String() string {
	return fmt.Sprintf("process %d on %s (instance %q), since %s", o.PID, o.Host, o.Instance, o.Since.Format(time.RFC3339))
}

// instance is what the directory knows of itself.
type instance struct {
	Format   int       `json:"format"`
	Instance string    `json:"instance"`
	Created  time.Time `json:"created"`
}

const directoryFormat = 1

// LockedError: another process holds the directory.
type LockedError struct {
	Dir    string
	Holder string
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("the data directory %s is held by %s; stop that process first, or use another directory", e.Dir, e.Holder)
}

// directory is the data directory, locked.
type directory struct {
	fs       disk.FS
	path     string
	lock     io.Closer
	instance string
}

// openDirectory locks the directory, proves that it can be written, removes what an interrupted write left
// behind, and checks whose it is.
func openDirectory(cfg *Config) (*directory, error) {
	own := filepath.Join(cfg.Dir, ownDir)
	if err := disk.MkdirAllSync(cfg.FS, own, 0o755); err != nil {
		return nil, fmt.Errorf("engine: make the data directory %s: %w", cfg.Dir, err)
	}
	d := &directory{fs: cfg.FS, path: cfg.Dir}
	var err error
	if d.lock, err = cfg.FS.Lock(filepath.Join(own, lockFile)); errors.Is(err, disk.ErrLocked) {
		return nil, &LockedError{Dir: cfg.Dir, Holder: holder(cfg.FS, filepath.Join(own, ownerFile))}
	} else if err != nil {
		return nil, fmt.Errorf("engine: lock the data directory %s: %w", cfg.Dir, err)
	}
	if err := d.prepare(cfg); err != nil {
		_ = d.lock.Close()
		return nil, err
	}
	return d, nil
}

func (d *directory) prepare(cfg *Config) error {
	own := filepath.Join(d.path, ownDir)
	removed, size, err := d.removeLeftovers()
	if err != nil {
		return fmt.Errorf("engine: remove left-over temporary files in %s: %w", d.path, err)
	}
	if removed > 0 {
		cfg.Logger.Info("removed temporary files of an interrupted write", "files", removed, "bytes", size)
	}
	if err := d.fs.RemoveAll(filepath.Join(d.path, memoryDir)); err != nil {
		return fmt.Errorf("engine: remove the chunks of a process without a log: %w", err)
	}
	// A full disk must not stop recovery: it needs none of it.
	if err := disk.Probe(d.fs, own); disk.IsFull(err) {
		cfg.Logger.Warn("the disk is full: data is recovered and can be read; pushes are refused until there is room", "dir", d.path)
	} else if err != nil {
		return fmt.Errorf("engine: the data directory %s cannot be written: %w", d.path, err)
	}
	if err := d.checkInstance(cfg); err != nil {
		return err
	}
	host, _ := os.Hostname()
	b, err := json.Marshal(owner{PID: os.Getpid(), Host: host, Instance: d.instance, Since: cfg.Now().UTC()})
	if err != nil {
		return err
	}
	if err := disk.WriteFileAtomic(d.fs, filepath.Join(own, ownerFile), b); err != nil && !disk.IsFull(err) {
		return fmt.Errorf("engine: write the owner file: %w", err)
	}
	return nil
}

// checkInstance compares the directory's identity with ours. A directory without one becomes ours.
func (d *directory) checkInstance(cfg *Config) error {
	name := filepath.Join(d.path, ownDir, instanceFile)
	b, err := disk.ReadFile(d.fs, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("engine: read %s: %w", name, err)
	}
	have := instance{Format: directoryFormat, Instance: cfg.Instance, Created: cfg.Now().UTC()}
	if err == nil {
		have = instance{}
		if err := json.Unmarshal(b, &have); err != nil {
			return fmt.Errorf("engine: %s is damaged: %w; if this is the right volume, remove that file", name, err)
		}
		switch {
		case have.Format > directoryFormat:
			return fmt.Errorf("engine: %s has format %d, which a newer version wrote; this one knows %d", d.path, have.Format, directoryFormat)
		case !cfg.InstanceGiven, have.Instance == cfg.Instance:
			d.instance = have.Instance
			return nil
		case !cfg.Adopt:
			return fmt.Errorf("engine: %w: %s belongs to instance %q and this one is %q; mount the right volume, or take this one over with -ingester.adopt-dir",
				ErrWrongDirectory, d.path, have.Instance, cfg.Instance)
		}
		cfg.Logger.Warn("taking over the data directory of another instance", "dir", d.path, "was", have.Instance, "is", cfg.Instance)
		have.Instance = cfg.Instance
	}
	d.instance = have.Instance
	if b, err = json.Marshal(have); err != nil {
		return err
	}
	if err := disk.WriteFileAtomic(d.fs, name, b); err != nil {
		return fmt.Errorf("engine: write %s: %w", name, err)
	}
	return nil
}

func holder(fsys disk.FS, name string) string {
	var o owner
	b, err := disk.ReadFile(fsys, name)
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err != nil {
		return "another process (its owner file cannot be read: " + err.Error() + ")"
	}
	return o.String()
}

// removeLeftovers removes what an interrupted write left in the folders of the directory. Nothing is written
// beside them under a temporary name, and a folder whose name looks like one is a tenant's.
func (d *directory) removeLeftovers() (n int, size int64, err error) {
	entries, err := d.fs.ReadDir(d.path)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == asideDir {
			continue
		}
		k, s, err := removeLeftovers(d.fs, filepath.Join(d.path, e.Name()), 1)
		n, size = n+k, size+s
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return n, size, err
		}
	}
	return n, size, nil
}

// removeLeftovers removes files and folders that an interrupted write left under temporary names, down to
// depth levels.
func removeLeftovers(fsys disk.FS, dir string, depth int) (n int, size int64, err error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		switch {
		case strings.HasSuffix(e.Name(), ".tmp"):
			if info, err := e.Info(); err == nil {
				size += info.Size()
			}
			n++
			if err := fsys.RemoveAll(name); err != nil {
				return n, size, err
			}
		case e.IsDir() && depth > 0:
			k, s, err := removeLeftovers(fsys, name, depth-1)
			n, size = n+k, size+s
			if err != nil && !errors.Is(err, fs.ErrPermission) {
				return n, size, err
			}
		}
	}
	return n, size, nil
}

// close gives the lock back.
func (d *directory) close() error { return d.lock.Close() }

// ValidTenant reports why an id cannot be a tenant's: it becomes the name of a directory.
func ValidTenant(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: it is empty", ErrBadTenant)
	case len(id) > 150:
		return fmt.Errorf("%w: %d bytes, at most 150 are allowed", ErrBadTenant, len(id))
	case id == "." || id == ".." || id == "__markers__" || id == "user-index.json.gz":
		return fmt.Errorf("%w: %q is reserved", ErrBadTenant, id)
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("!-_.*'()", c) >= 0:
		default:
			return fmt.Errorf("%w: %q contains %q; letters, digits and !-_.*'() are allowed", ErrBadTenant, id, c)
		}
	}
	return nil
}

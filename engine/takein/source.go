package takein

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/engine"
)

// source is the directory of one tenant.
type source struct {
	dir      string   // absolute
	wal      []string // segments of the checkpoint, then of the log, in the order in which they are read
	wbl      []string
	newest   map[string]bool // the last segment of wal and of wbl: it may end in the middle of a record
	size     int64           // of wal and wbl
	minValid int64           // samples before are in a block
	notes    []string
	list     func(*source) error // finds wal, wbl and newest
	state    string              // names, sizes and times of the files, to see whether somebody writes
}

const (
	walDir           = "wal"
	wblDir           = "wbl"
	checkpointPrefix = "checkpoint."
)

// hasLog reports whether dir is a tenant's directory.
func hasLog(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, walDir))
	return err == nil && info.IsDir()
}

// Named is a tenant's directory and the id under which it is to be taken over.
type Named struct{ Dir, Tenant string }

// Find says which tenants' directories dir holds: itself, under the id given, or, if it is the root of a Cortex's or
// Mimir's TSDB directories, one a folder, under the folders' names.
func Find(dir, tenant string) ([]Named, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, errors.Join(fmt.Errorf("takein: %s is no directory", dir), err)
	}
	if engine.IsDataDir(disk.OS, dir) {
		return nil, fmt.Errorf("takein: %s is a data directory of this program: start an ingester on it, or on a copy", dir)
	}
	if _, ours, err := engine.TenantOf(disk.OS, dir); err != nil || ours {
		return nil, errors.Join(err, fmt.Errorf("takein: %s is the folder of a tenant of this program: copy it into a data directory while no ingester runs on that", dir))
	}
	if hasLog(dir) {
		if tenant == "" {
			return nil, fmt.Errorf("takein: %s is the directory of one tenant: say under which id it is to be taken over", dir)
		}
		return []Named{{dir, tenant}}, engine.ValidTenant(tenant)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []Named
	for _, e := range entries {
		if sub := filepath.Join(dir, e.Name()); e.IsDir() && hasLog(sub) {
			if err := engine.ValidTenant(e.Name()); err != nil {
				return nil, fmt.Errorf("takein: %s: %w", sub, err)
			}
			found = append(found, Named{sub, e.Name()})
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("takein: %s holds no write-ahead log: expected a folder wal in it, or in the folders in it", dir)
	case tenant != "":
		return nil, fmt.Errorf("takein: %s holds the directories of %d tenants, which keep their names; name the folder of one to give it the id %q", dir, len(found), tenant)
	}
	return found, nil
}

// open lists a tenant's directory.
func open(dir string) (*source, error) {
	if held, err := disk.Held(filepath.Join(dir, "lock")); err != nil || held {
		return nil, errors.Join(err, fmt.Errorf("takein: %s is held by a running process: stop it first", dir))
	}
	s := &source{dir: dir, minValid: math.MinInt64, newest: map[string]bool{}, list: (*source).logs}
	err := s.list(s)
	if err == nil {
		s.state, err = s.now()
	}
	if err == nil {
		err = s.others()
	}
	return s, err
}

// logs lists the segments of log and out-of-order log.
func (s *source) logs() error {
	if err := s.log(); err != nil {
		return err
	}
	var err error
	s.wbl, err = segments(filepath.Join(s.dir, wblDir), 0)
	if n := len(s.wbl); n > 0 {
		s.newest[s.wbl[n-1]] = true
	}
	return err
}

// log lists the segments of the newest checkpoint, and those behind it.
func (s *source) log() error {
	wal := filepath.Join(s.dir, walDir)
	entries, err := os.ReadDir(wal)
	if err != nil {
		return err
	}
	newest, from := "", 0
	for _, e := range entries {
		n, ok := strings.CutPrefix(e.Name(), checkpointPrefix)
		if i, err := strconv.Atoi(n); ok && err == nil && e.IsDir() && (newest == "" || i >= from) {
			newest, from = filepath.Join(wal, e.Name()), i
		}
	}
	if newest != "" {
		if s.wal, err = segments(newest, 0); err != nil {
			return err
		}
		from++
	}
	log, err := segments(wal, from)
	if err != nil {
		return err
	}
	if n := len(log); n > 0 {
		s.newest[log[n-1]] = true
		if first, err := strconv.Atoi(filepath.Base(log[0])); newest != "" && err == nil && first > from {
			return fmt.Errorf("takein: segments %d to %d of %s are missing, behind the checkpoint", from, first-1, wal)
		}
	}
	if s.wal = append(s.wal, log...); len(s.wal) == 0 {
		return fmt.Errorf("takein: %s is empty", wal)
	}
	return nil
}

// segments lists the segments in a directory from a number on; none if there is no directory.
func segments(dir string, from int) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	type segment struct {
		num  int
		name string
	}
	var list []segment
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && !e.IsDir() && n >= from {
			list = append(list, segment{n, filepath.Join(dir, e.Name())})
		}
	}
	slices.SortFunc(list, func(a, b segment) int { return cmp.Compare(a.num, b.num) })
	var names []string
	for i, x := range list {
		if i > 0 && x.num != list[i-1].num+1 {
			return nil, fmt.Errorf("takein: segments %d to %d of %s are missing", list[i-1].num+1, x.num-1, dir)
		}
		names = append(names, x.name)
	}
	return names, nil
}

// now is the state of the files that are read.
func (s *source) now() (string, error) {
	var b strings.Builder
	s.size = 0
	for _, name := range slices.Concat(s.wal, s.wbl) {
		info, err := os.Stat(name)
		if err != nil {
			return "", err
		}
		s.size += info.Size()
		fmt.Fprintln(&b, name, info.Size(), info.ModTime().UnixNano())
	}
	return b.String(), nil
}

// unchanged fails if the files are others than when they were listed.
func (s *source) unchanged() error {
	again := source{dir: s.dir, newest: map[string]bool{}}
	err := s.list(&again)
	var state string
	if err == nil {
		state, err = again.now()
	}
	if err != nil || state != s.state {
		return errors.Join(fmt.Errorf("takein: %s was changed while it was read: stop the process that writes it first", s.dir), err)
	}
	return nil
}

// blockMeta is what is needed of a block's meta.json.
type blockMeta struct {
	ULID       string `json:"ulid"`
	MinTime    int64  `json:"minTime"`
	MaxTime    int64  `json:"maxTime"`
	Compaction struct {
		Hints []string `json:"hints"`
	} `json:"compaction"`
}

// fromElsewhere are the hints of blocks that say nothing about what the head still holds.
var fromElsewhere = []string{"from-out-of-order", "from-stale-series", "from-selected-series"}

// others looks at what else is in the directory: blocks, which say from when on the head counts, and copies of the log.
func (s *source) others() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	blocks, unshipped, lo, hi := 0, 0, int64(math.MaxInt64), int64(math.MinInt64)
	shipped, err := s.shipped()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "chunk_snapshot.") && !strings.HasSuffix(e.Name(), ".tmp") {
			s.notes = append(s.notes, e.Name()+" is not read: the log has what is in it")
		}
		b, err := os.ReadFile(filepath.Join(s.dir, e.Name(), "meta.json"))
		if !e.IsDir() || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var m blockMeta
		if err == nil {
			err = json.Unmarshal(b, &m)
		}
		if err != nil {
			return fmt.Errorf("takein: block %s: %w", e.Name(), err)
		}
		blocks++
		lo, hi = min(lo, m.MinTime), max(hi, m.MaxTime)
		if !shipped[m.ULID] {
			unshipped++
		}
		if !slices.ContainsFunc(m.Compaction.Hints, func(h string) bool { return slices.Contains(fromElsewhere, h) }) {
			s.minValid = max(s.minValid, m.MaxTime)
		}
	}
	if blocks > 0 {
		s.notes = append(s.notes, fmt.Sprintf("%d blocks, %s to %s, are not taken over; they stay where they are, and %d of them are not named as shipped to object storage", blocks, stamp(lo), stamp(hi), unshipped))
	}
	return nil
}

// shipped are the blocks that a shipper has uploaded.
func (s *source) shipped() (map[string]bool, error) {
	out := map[string]bool{}
	for _, name := range []string{"thanos.shipper.json", "mimir.shipper.json"} {
		b, err := os.ReadFile(filepath.Join(s.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// Thanos has a list here, Mimir an object whose names are the blocks.
		var file struct{ Uploaded, Shipped json.RawMessage }
		if err := json.Unmarshal(b, &file); err != nil {
			return nil, fmt.Errorf("takein: %s: %w", filepath.Join(s.dir, name), err)
		}
		var list []string
		var object map[string]any
		for _, raw := range []json.RawMessage{file.Uploaded, file.Shipped} {
			if json.Unmarshal(raw, &list) == nil {
				for _, id := range list {
					out[id] = true
				}
			}
			if json.Unmarshal(raw, &object) == nil {
				for id := range object {
					out[id] = true
				}
			}
		}
	}
	return out, nil
}

// ChunkStorageWAL says what in a directory is the write-ahead log of a chunk-storage ingester of Cortex 1.10 or before:
// segments and checkpoints at the root, of all tenants together. "" if there is nothing.
func ChunkStorageWAL(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		n, isCheckpoint := strings.CutPrefix(e.Name(), checkpointPrefix)
		_, err := strconv.Atoi(n)
		switch {
		case err != nil:
		case !isCheckpoint && !e.IsDir() && len(n) == 8:
			return "log segment " + e.Name() + " of a Cortex 1.10 chunk-storage ingester", nil
		case isCheckpoint && e.IsDir():
			if list, err := segments(filepath.Join(dir, e.Name()), 0); err != nil || len(list) > 0 {
				return e.Name() + " of a Cortex 1.10 chunk-storage ingester", err
			}
		}
	}
	return "", nil
}

package engine

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/ckpt"
	"github.com/rekindledb/rekindle/walio"
)

// IsDataDir reports whether dir is, or was, some engine's data directory.
func IsDataDir(fsys disk.FS, dir string) bool {
	info, err := fsys.Stat(filepath.Join(dir, ownDir))
	return err == nil && info.IsDir()
}

// Holder says which process holds a data directory of the real file system; "" if none does.
func Holder(dir string) (string, error) {
	own := filepath.Join(dir, ownDir)
	held, err := disk.Held(filepath.Join(own, lockFile))
	if err != nil || !held {
		return "", err
	}
	return holder(disk.OS, filepath.Join(own, ownerFile)), nil
}

// TenantOf returns the id of the tenant whose files are in dir, as its files have it: the folder may be a copy under
// another name. ok is false if there is none of our files.
func TenantOf(fsys disk.FS, dir string) (id string, ok bool, err error) {
	copies, err := ckpt.ReadCatalogue(fsys, ckpt.CataloguePath(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	for _, c := range copies {
		if c.Catalogue != nil {
			return c.Catalogue.Tenant, true, nil
		}
	}
	segments, _, _, err := walio.SegmentNames(fsys, filepath.Join(dir, walDir))
	if err != nil {
		return "", false, err
	}
	found := errors.New("found")
	for _, name := range segments {
		err := walio.Inspect(fsys, name, func(i *walio.Item) error {
			if i.Segment != nil {
				id = i.Segment.Tenant
			}
			return found // the first item says it or nothing does
		})
		switch {
		case errors.Is(err, walio.ErrForeign):
			return "", false, nil // another program's log
		case err != nil && !errors.Is(err, found):
			return "", false, err
		case id != "":
			return id, true, nil
		}
	}
	return filepath.Base(dir), ckpt.Exists(ckpt.Config{FS: fsys, Dir: dir}), nil
}

// FileKind says what a file is.
type FileKind string

// Kinds of files.
const (
	FileSegment   FileKind = "log segment"
	FileCatalogue FileKind = "catalogue"
	FileSlot      FileKind = "image slot"
	FileChunks    FileKind = "chunk file"
	FileLedger    FileKind = "ledger"
	FileUnknown   FileKind = "unknown file"
)

// KindOf tells by its name what a file in a tenant's folder is.
func KindOf(path string) FileKind {
	name, dir := filepath.Base(path), filepath.Base(filepath.Dir(path))
	_, _, slot := ckpt.ParseSlotName(name)
	_, _, chunks := parseChunkFileName(name)
	digits := len(name) > 0 && !slices.ContainsFunc([]byte(name), func(c byte) bool { return c < '0' || c > '9' })
	switch {
	case name == filepath.Base(ckpt.CataloguePath("")):
		return FileCatalogue
	case name == ledgerFile:
		return FileLedger
	case slot:
		return FileSlot
	case chunks && dir != walDir:
		return FileChunks
	case digits:
		return FileSegment
	}
	return FileUnknown
}

// WALPath is the folder of the log of the tenant in dir.
func WALPath(dir string) string { return filepath.Join(dir, walDir) }

// ChunksPath is its folder of chunk files.
func ChunksPath(dir string) string { return filepath.Join(dir, chunksDir) }

// LedgerPath is its ledger of losses.
func LedgerPath(dir string) string { return filepath.Join(dir, ledgerFile) }

// ChunkFileName is the name of a chunk file.
func ChunkFileName(stripe int, id uint32) string { return chunkFileName(stripe, id) }

// LogIdentity is the identity that a tenant's log has.
func LogIdentity(id ckpt.Identity) walio.Identity {
	return walio.Identity{Tenant: id.Tenant, Generation: id.Generation, Stripes: id.Stripes, HashID: id.HashID, RefLayout: id.RefLayout}
}

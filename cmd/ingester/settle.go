package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Values of -target.
const (
	targetAll      = "all"
	targetIngester = "ingester"
	targetFlusher  = "flusher"
)

const defaultDir = "./data"

// settle turns arguments that have another name or shape in Cortex into ours.
func (o *options) settle() error {
	w := &o.Ingester.WAL
	if o.supervise && o.Target == targetFlusher {
		return fmt.Errorf("-supervise is for a process that serves, not for -target=%s", targetFlusher)
	}
	if dir := o.Flusher.WALDir; dir != "" && o.Target == targetFlusher {
		w.Dir = dir
		o.mapped = append(o.mapped, fmt.Sprintf("-flusher.wal-dir: taken as -ingester.wal-dir=%s", dir))
	}
	tsdb := &o.Storage.TSDB
	if tsdb.WALCompressionOn && (tsdb.WALCompression == "" || tsdb.WALCompression == compressionNone) {
		tsdb.WALCompression = compressionSnappy
	}
	if tsdb.WALCompressionOn {
		o.mapped = append(o.mapped, "-blocks-storage.tsdb.wal-compression-enabled: taken as -blocks-storage.tsdb.wal-compression-type="+tsdb.WALCompression)
	}
	dir := tsdb.Dir
	if dir == "" || w.Dir != defaultDir {
		return nil
	}
	// Its directories are tenants to Cortex, and would be to us: ours go beside it, on the same volume.
	if mountPoint(dir) {
		return fmt.Errorf("-blocks-storage.tsdb.dir=%s is a mount point, so there is no place beside it on its volume: say with -ingester.wal-dir where to keep data", dir)
	}
	w.Dir = filepath.Clean(dir) + "-rekindle"
	o.mapped = append(o.mapped, fmt.Sprintf("-blocks-storage.tsdb.dir=%s: data is kept beside it, in -ingester.wal-dir=%s; what is in it is not read (-ingester.import-dir does)", dir, w.Dir))
	return nil
}

func mountPoint(dir string) bool {
	dir = filepath.Clean(dir)
	a, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	b, err2 := os.Stat(filepath.Dir(dir))
	if err != nil || err2 != nil {
		return false // opening it will say what is wrong
	}
	x, ok := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	return ok && ok2 && x.Dev != y.Dev
}

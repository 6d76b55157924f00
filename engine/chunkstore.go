package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rekindledb/rekindle/arena/disk"
)

// chunkStore is a stripe's chunk files. Closing a chunk appends it to a buffer under the stripe's lock and
// gives it its final place at once; flush writes the buffers, without the lock, whenever it can. So a full
// disk never stops an append in the middle: what cannot be written stays in memory and is still read there.
//
//	file of a range:   [ written ............ | inflight .... | tail .... ]
//	                    0              written                            end: where the next chunk goes
type chunkStore struct {
	fs         disk.FS
	dir        string // <tenant>/chunks
	stripe     int
	generation uint64

	// Under the stripe's lock.
	writers  []*chunkWriter // one a block range, the newest last
	buffered atomic.Int64   // bytes in inflight and tail of all writers; read without the lock

	// flushMu serialises flush and sync; taken before the stripe's lock, never under it.
	flushMu sync.Mutex

	files struct {
		sync.RWMutex
		m map[uint32]*chunkFile
	}
	// mapped are the files that readers have mapped, the one that was first mapped the first.
	mapped struct {
		sync.Mutex
		files []*chunkFile
	}

	// orphans are files that a dead process wrote after the image that was recovered from: nothing refers to
	// them. They are left alone until the next image is published, lest an operator puts an older one back.
	orphans []string
	// lost says that there were images and none could be used.
	lost bool
}

// chunkWriter is one file being written. inflight and tail under the stripe's lock, the rest by flush.
type chunkWriter struct {
	head     fileHead
	f        disk.File  // nil until the first flush
	file     *chunkFile // the same to readers
	written  int64      // bytes in the file
	inflight chunkBuf   // being written at written
	tail     chunkBuf   // behind it
	synced   int64      // bytes known to be durable
	named    bool       // the file's name is durable
	unsure   bool       // a sync failed: the bytes behind synced must be written again before the next one counts
}

const (
	// maxWriters bounds the open files of a stripe: the ranges that chunks are closed in at one time. To read one
	// it is opened, mapped, and closed.
	maxWriters = 3
	// A chunk file is allocated ahead of need: as much again as it has, within these.
	chunkAllocMin = 64 << 10
	chunkAllocMax = 1 << 20
)

func newChunkStore(fsys disk.FS, dir string, stripe int, generation uint64) *chunkStore {
	c := &chunkStore{fs: fsys, dir: dir, stripe: stripe, generation: generation}
	c.files.m = map[uint32]*chunkFile{}
	return c
}

// add appends a closed chunk and returns its place. Under the stripe's lock.
func (c *chunkStore) add(r *root, h chunkHead, data []byte) link {
	w := c.writer(r, rangeOf(h.minT))
	off := w.end()
	to := w.tail.room(chunkSize(len(data)))
	before := len(to.data)
	to.data = appendChunk(to.data, h, data)
	c.buffered.Add(int64(len(to.data) - before))
	return makeLink(w.head.id, off)
}

func (w *chunkWriter) end() int64 { return w.written + int64(w.inflight.size()+w.tail.size()) }

// writer returns the writer of a range; it makes one, with a new file id, if there is none.
func (c *chunkStore) writer(r *root, rng int64) *chunkWriter {
	for i := len(c.writers) - 1; i >= 0; i-- {
		if c.writers[i].head.rng == rng {
			return c.writers[i]
		}
	}
	w := &chunkWriter{head: fileHead{stripe: uint32(c.stripe), generation: c.generation, rng: rng, id: r.nextFile}}
	r.nextFile++
	to := w.tail.room(fileHeadSize)
	to.data = w.head.append(to.data)
	c.buffered.Add(fileHeadSize)
	c.writers = append(c.writers, w)
	return w
}

// retire takes out the oldest writers that have nothing left to write and whose bytes are durable: a late chunk
// of their range gets a new file. They are to be closed. Under the stripe's lock.
func (c *chunkStore) retire() (retired []*chunkWriter) {
	for i := 0; i < len(c.writers) && len(c.writers) > maxWriters; {
		if w := c.writers[i]; w.synced == w.end() {
			c.writers = slices.Delete(c.writers, i, i+1)
			retired = append(retired, w)
		} else {
			i++
		}
	}
	return retired
}

// close gives back what was allocated ahead of need, and closes the file. If that fails it costs room only.
func (w *chunkWriter) close() {
	if w.f != nil {
		_ = w.file.truncate(w.f)
		_ = w.f.Close()
	}
}

// flush writes what is buffered. mu is the stripe's lock.
func (c *chunkStore) flush(mu *sync.Mutex) error {
	c.flushMu.Lock()
	defer c.flushMu.Unlock()
	return c.flushLocked(mu)
}

func (c *chunkStore) flushLocked(mu *sync.Mutex) error {
	mu.Lock()
	writers := append([]*chunkWriter(nil), c.writers...)
	mu.Unlock()
	var errs []error
	for _, w := range writers {
		failed := len(w.inflight) > 0 // to be written: that is written first, and then what came since
		err := c.flushWriter(mu, w)
		if err == nil && failed {
			err = c.flushWriter(mu, w)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (c *chunkStore) flushWriter(mu *sync.Mutex, w *chunkWriter) error {
	mu.Lock()
	if len(w.inflight) == 0 {
		w.inflight, w.tail = w.tail, nil
	}
	mu.Unlock()
	if len(w.inflight) == 0 {
		return nil
	}
	if err := c.write(w); err != nil {
		return err
	}
	mu.Lock()
	done := w.inflight
	w.written += int64(done.size())
	w.file.size.Store(w.written)
	w.inflight = nil
	mu.Unlock()
	c.buffered.Add(-int64(done.size()))
	done.free()
	return nil
}

func (c *chunkStore) write(w *chunkWriter) error {
	name := filepath.Join(c.dir, chunkFileName(c.stripe, w.head.id))
	if w.f == nil {
		f, err := c.fs.Create(name)
		if errors.Is(err, fs.ErrExist) { // made by an attempt that failed: ids are not used twice
			f, err = c.fs.OpenRW(name)
		}
		if err != nil {
			return fmt.Errorf("engine: create chunk file: %w", err)
		}
		w.f, w.file = f, &chunkFile{name: name}
		c.files.Lock()
		c.files.m[w.head.id] = w.file
		c.files.Unlock()
	}
	end := w.written + int64(w.inflight.size())
	if err := w.f.Allocate(allocation(end)); err != nil && !disk.IsFull(err) {
		return fmt.Errorf("engine: allocate %s: %w", name, err)
	}
	for _, b := range w.inflight {
		if _, err := w.f.WriteAt(b.data, w.written+int64(b.off)); err != nil {
			return fmt.Errorf("engine: write %s: %w", name, err)
		}
	}
	return nil
}

// allocation is how much is allocated for a file of size bytes.
func allocation(size int64) int64 {
	if size > chunkAllocMax {
		return (size + chunkAllocMax - 1) / chunkAllocMax * chunkAllocMax
	}
	return max(chunkAllocMin, int64(1)<<bits.Len64(uint64(size-1)))
}

// lengths is the files that hold chunks, and how far. Under the stripe's lock: it is what an image taken now
// refers to.
func (c *chunkStore) lengths() map[uint32]int64 {
	m := map[uint32]int64{}
	c.files.RLock()
	for id, f := range c.files.m {
		m[id] = f.size.Load()
	}
	c.files.RUnlock()
	for _, w := range c.writers {
		m[w.head.id] = w.end()
	}
	return m
}

// sync makes everything that lengths named so far durable.
func (c *chunkStore) sync(mu *sync.Mutex) error {
	c.flushMu.Lock()
	defer c.flushMu.Unlock()
	if err := c.flushLocked(mu); err != nil {
		return err
	}
	names := false
	mu.Lock()
	writers := append([]*chunkWriter(nil), c.writers...)
	mu.Unlock()
	for _, w := range writers {
		if w.f == nil {
			continue
		}
		names = names || !w.named
		if w.synced == w.written {
			continue
		}
		if err := c.syncFile(w); err != nil {
			return fmt.Errorf("engine: sync %s: %w", w.f.Name(), err)
		}
	}
	if names {
		if err := c.fs.SyncDir(c.dir); err != nil {
			return fmt.Errorf("engine: sync directory %s: %w", c.dir, err)
		}
		for _, w := range writers {
			w.named = w.named || w.f != nil
		}
	}
	mu.Lock()
	retired := c.retire()
	mu.Unlock()
	for _, w := range retired {
		w.close()
	}
	return nil
}

// syncFile makes what is written of a file durable. After a sync that failed the kernel may have dropped the
// pages and call the next one good, so that counts only if everything was written again before it.
func (c *chunkStore) syncFile(w *chunkWriter) error {
	if w.unsure {
		if err := w.rewrite(); err != nil {
			return err
		}
	}
	upTo := w.written
	if err := w.f.Sync(); err != nil {
		w.unsure = true
		return errors.Join(err, w.rewrite()) // while the pages may still be there
	}
	w.synced = upTo
	return nil
}

// rewrite writes what may not have reached the disk once more in place, so that the next sync has something to
// sync. What is read for it is checked: it may come from the disk, which has not got it.
func (w *chunkWriter) rewrite() error {
	b := make([]byte, w.written-w.synced)
	if _, err := w.f.ReadAt(b, w.synced); err != nil {
		return err
	}
	if err := checkChunks(b, w.synced == 0); err != nil {
		return fmt.Errorf("chunks behind %d are lost, the log has them until the next start: %w", w.synced, err)
	}
	if _, err := w.f.WriteAt(b, w.synced); err != nil {
		return err
	}
	w.unsure = false
	return nil
}

// inMemory returns the chunk at l, and what lies behind it, if it has not reached a file. Under the stripe's lock.
func (c *chunkStore) inMemory(l link) []byte {
	for _, w := range c.writers {
		if w.head.id != l.file() {
			continue
		}
		off := l.offset() - w.written
		switch {
		case off < 0:
			return nil
		case off < int64(w.inflight.size()):
			return w.inflight.from(int(off))
		case off < int64(w.inflight.size()+w.tail.size()):
			return w.tail.from(int(off) - w.inflight.size())
		}
	}
	return nil
}

// written reports whether the chunk at l has reached its file. Without the stripe's lock.
func (c *chunkStore) written(l link) bool {
	c.files.RLock()
	defer c.files.RUnlock()
	f := c.files.m[l.file()]
	return f != nil && l.offset() < f.size.Load()
}

// dropOrphans removes the orphans: an image that does not know them has been published.
func (c *chunkStore) dropOrphans() {
	for _, name := range c.orphans {
		_ = c.fs.Remove(name) // one that stays is an orphan again at the next start
	}
	c.orphans = nil
}

// close closes all files. Nothing is flushed.
func (c *chunkStore) close() error {
	for _, w := range c.writers {
		w.close()
	}
	var errs []error
	for _, f := range c.files.m {
		errs = append(errs, f.unmap())
	}
	return errors.Join(errs...)
}

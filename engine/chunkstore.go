package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime/debug"
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

	// orphans are files that a dead process wrote after the image that was recovered from: nothing refers to
	// them. They are left alone until the next image is published, lest an operator puts an older one back.
	orphans []string
	// lost says that there were images and none could be used.
	lost bool
}

// chunkWriter is one file being written. inflight and tail under the stripe's lock, the rest by flush.
type chunkWriter struct {
	head     fileHead
	file     *chunkFile // nil until the first flush
	written  int64      // bytes in the file
	inflight []byte     // being written at written
	tail     []byte     // behind it
	spare    []byte     // the other buffer
	synced   int64      // bytes known to be durable
	named    bool       // the file's name is durable
	unsure   bool       // a sync failed: the bytes behind synced must be written again before the next one counts
}

// chunkFile is a file that can be read.
type chunkFile struct {
	id   uint32
	f    disk.File    // nil if an image names it and it cannot be opened
	mu   sync.RWMutex // held for reading while bytes are copied out of m
	m    disk.Mapping
	size atomic.Int64 // bytes that may be read
}

const (
	// maxWriters bounds the open files of a stripe: the ranges that chunks are closed in at one time.
	maxWriters = 3
	// chunkAllocStep is how far ahead of need a chunk file is allocated.
	chunkAllocStep = 1 << 20
)

func newChunkStore(fsys disk.FS, dir string, stripe int, generation uint64) *chunkStore {
	c := &chunkStore{fs: fsys, dir: dir, stripe: stripe, generation: generation}
	c.files.m = map[uint32]*chunkFile{}
	return c
}

// add appends a closed chunk and returns its place. Under the stripe's lock.
func (c *chunkStore) add(r *root, h chunkHead, data []byte) link {
	w := c.writer(r, rangeOf(h.minT))
	before := len(w.tail)
	off := w.end()
	w.tail = appendChunk(w.tail, h, data)
	c.buffered.Add(int64(len(w.tail) - before))
	return makeLink(w.head.id, off)
}

func (w *chunkWriter) end() int64 { return w.written + int64(len(w.inflight)+len(w.tail)) }

// writer returns the writer of a range; it makes one, with a new file id, if there is none.
func (c *chunkStore) writer(r *root, rng int64) *chunkWriter {
	for i := len(c.writers) - 1; i >= 0; i-- {
		if c.writers[i].head.rng == rng {
			return c.writers[i]
		}
	}
	w := &chunkWriter{head: fileHead{stripe: uint32(c.stripe), generation: c.generation, rng: rng, id: r.nextFile}}
	r.nextFile++
	w.tail = w.head.append(w.tail)
	c.buffered.Add(int64(len(w.tail)))
	c.writers = append(c.writers, w)
	return w
}

// retire closes the oldest writers that have nothing left to write and whose bytes are durable: a late chunk
// of their range gets a new file. Under the stripe's lock.
func (c *chunkStore) retire() {
	for i := 0; i < len(c.writers) && len(c.writers) > maxWriters; {
		if w := c.writers[i]; w.synced == w.end() {
			c.writers = append(c.writers[:i], c.writers[i+1:]...)
		} else {
			i++
		}
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
	if len(w.inflight) == 0 && len(w.tail) > 0 {
		// The two buffers change places. While one is written the other one grows: they must not be the same.
		w.inflight, w.tail, w.spare = w.tail, w.spare[:0], nil
	}
	mu.Unlock()
	if len(w.inflight) == 0 {
		return nil
	}
	if err := c.write(w); err != nil {
		return err
	}
	mu.Lock()
	n := len(w.inflight)
	w.written += int64(n)
	w.file.size.Store(w.written)
	w.spare, w.inflight = w.inflight[:0], nil
	mu.Unlock()
	c.buffered.Add(-int64(n))
	return nil
}

func (c *chunkStore) write(w *chunkWriter) error {
	name := filepath.Join(c.dir, chunkFileName(c.stripe, w.head.id))
	if w.file == nil {
		f, err := c.fs.Create(name)
		if errors.Is(err, fs.ErrExist) { // made by an attempt that failed: ids are not used twice
			f, err = c.fs.OpenRW(name)
		}
		if err != nil {
			return fmt.Errorf("engine: create chunk file: %w", err)
		}
		w.file = &chunkFile{id: w.head.id, f: f}
		c.files.Lock()
		c.files.m[w.head.id] = w.file
		c.files.Unlock()
	}
	end := w.written + int64(len(w.inflight))
	if err := w.file.f.Allocate((end + chunkAllocStep - 1) / chunkAllocStep * chunkAllocStep); err != nil && !disk.IsFull(err) {
		return fmt.Errorf("engine: allocate %s: %w", name, err)
	}
	if _, err := w.file.f.WriteAt(w.inflight, w.written); err != nil {
		return fmt.Errorf("engine: write %s: %w", name, err)
	}
	return nil
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
		if w.file == nil {
			continue
		}
		names = names || !w.named
		if w.synced == w.written {
			continue
		}
		if err := c.syncFile(w); err != nil {
			return fmt.Errorf("engine: sync %s: %w", w.file.f.Name(), err)
		}
	}
	if names {
		if err := c.fs.SyncDir(c.dir); err != nil {
			return fmt.Errorf("engine: sync directory %s: %w", c.dir, err)
		}
		for _, w := range writers {
			w.named = w.named || w.file != nil
		}
	}
	mu.Lock()
	c.retire()
	mu.Unlock()
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
	if err := w.file.f.Sync(); err != nil {
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
	if _, err := w.file.f.ReadAt(b, w.synced); err != nil {
		return err
	}
	if err := checkChunks(b, w.synced == 0); err != nil {
		return fmt.Errorf("chunks behind %d are lost, the log has them until the next start: %w", w.synced, err)
	}
	if _, err := w.file.f.WriteAt(b, w.synced); err != nil {
		return err
	}
	w.unsure = false
	return nil
}

// inMemory returns the bytes from l on if they have not reached a file. Under the stripe's lock.
func (c *chunkStore) inMemory(l link) []byte {
	for _, w := range c.writers {
		if w.head.id != l.file() {
			continue
		}
		off := l.offset() - w.written
		switch {
		case off < 0:
			return nil
		case off < int64(len(w.inflight)):
			return w.inflight[off:]
		case off < int64(len(w.inflight)+len(w.tail)):
			return w.tail[off-int64(len(w.inflight)):]
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

// read copies the chunk at l behind dst, without the stripe's lock, and checks that it belongs to ref.
func (c *chunkStore) read(l link, ref uint64, dst []byte) (h chunkHead, data []byte, err error) {
	c.files.RLock()
	f := c.files.m[l.file()]
	c.files.RUnlock()
	if f == nil {
		return h, dst, fmt.Errorf("engine: %w: chunk file %s is gone", fs.ErrNotExist, chunkFileName(c.stripe, l.file()))
	}
	h, data, err = f.read(l.offset(), dst)
	if err == nil && h.ref != ref {
		err = fmt.Errorf("chunk belongs to series %d, not %d", h.ref, ref)
	}
	if err != nil {
		err = fmt.Errorf("engine: %s at offset %d: %w", chunkFileName(c.stripe, l.file()), l.offset(), err)
	}
	return h, data, err
}

func (f *chunkFile) read(off int64, dst []byte) (h chunkHead, data []byte, err error) {
	if f.f == nil {
		return h, dst, errors.New("the file could not be opened at the start")
	}
	size := f.size.Load()
	if off < fileHeadSize || off >= size {
		return h, dst, fmt.Errorf("offset outside the file's %d bytes", size)
	}
	f.mu.RLock()
	if f.m == nil || int64(len(f.m.Bytes())) < size {
		f.mu.RUnlock()
		if err := f.remap(size); err != nil {
			return h, dst, err
		}
		f.mu.RLock()
	}
	defer f.mu.RUnlock()
	// A page that the disk cannot deliver is a signal; no stripe lock is held here.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading the mapped file: %v", p)
		}
	}()
	h, b, err := parseChunk(f.m.Bytes()[off:size])
	if err != nil {
		return h, dst, err
	}
	return h, append(dst, b...), nil
}

// remap maps what has been written since the file was last mapped. Mappings are made for the allocated size,
// which is ahead of what is written, so that this is rare.
func (f *chunkFile) remap(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m != nil && int64(len(f.m.Bytes())) >= size {
		return nil
	}
	if allocated, err := f.f.Size(); err != nil {
		return err
	} else if allocated < size {
		return fmt.Errorf("the file has %d bytes, %d are named", allocated, size)
	} else {
		size = allocated
	}
	m, err := f.f.Map(size, false)
	if err != nil {
		return err
	}
	if f.m != nil {
		_ = f.m.Unmap()
	}
	f.m = m
	return nil
}

// errNewerChunks: a chunk file was written by a newer version.
var errNewerChunks = errors.New("written by a newer version")

// adopt opens the files in dir that an image names. A file that is missing, too short or not ours is reported; chunks
// in it fail when they are read. It stays named, by the images to come too, else it would pass for an orphan and be
// removed, though all that is wrong may be that too many files are open.
func (c *chunkStore) adopt(dir string, lengths map[uint32]int64) error {
	var errs []error
	for id, length := range lengths {
		name := filepath.Join(dir, chunkFileName(c.stripe, id))
		f := &chunkFile{id: id}
		f.size.Store(length)
		c.files.m[id] = f
		err := f.open(c.fs, name)
		if err == nil {
			err = f.isOf(fileHead{stripe: uint32(c.stripe), generation: c.generation, id: id})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("chunk file %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// open opens a file of which an image names size bytes.
func (f *chunkFile) open(fsys disk.FS, name string) (err error) {
	if f.f, err = fsys.Open(name); err != nil {
		return err
	}
	if size, err := f.f.Size(); err == nil && size < f.size.Load() {
		named := f.size.Swap(size)
		return fmt.Errorf("%d bytes, the image names %d", size, named)
	}
	return nil
}

// isOf compares the file's header with the one that it should have. Of another one's file nothing is read. A header
// that is damaged says nothing: chunks have checksums and references of their own.
func (f *chunkFile) isOf(want fileHead) error {
	var b [fileHeadSize]byte
	if _, err := f.f.ReadAt(b[:], 0); err != nil {
		return err
	}
	h, err := parseFileHead(b[:])
	if err != nil {
		return err
	}
	if want.rng = h.rng; h != want {
		f.size.Store(0)
		return fmt.Errorf("it is file %d of stripe %d, generation %d, not file %d of stripe %d, generation %d",
			h.id, h.stripe, h.generation, want.id, want.stripe, want.generation)
	}
	return nil
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
	var errs []error
	for _, f := range c.files.m {
		if f.m != nil {
			errs = append(errs, f.m.Unmap())
		}
		if f.f != nil {
			errs = append(errs, f.f.Close())
		}
	}
	return errors.Join(errs...)
}

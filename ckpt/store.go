package ckpt

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// Store is a tenant's images and their catalogue. Its methods may be called at the same time; one stripe has
// one Writer at a time.
type Store struct {
	cfg Config   // constant
	id  Identity // constant

	// publishing is held while the catalogue is written. It is taken before mu.
	publishing sync.Mutex
	file       *catalogueFile // under publishing

	mu      sync.Mutex
	cat     *Catalogue // under mu; to change it, publishing is held too. What is on disk, without images found damaged.
	stats   Stats      // under mu
	stripes []stripe   // slots belong to the goroutine that loads or writes the stripe; the rest is under mu
}

// stripe is a stripe's two files and the image that is being written.
type stripe struct {
	slots  [2]slot
	writer *Writer
}

// Stats counts since the store was opened.
type Stats struct {
	Images       uint64 // published
	ImageBytes   uint64 // written to slots, headers and tables included
	Publications uint64 // of the catalogue
	Rejected     uint64 // images that could not be loaded
}

// Create makes the catalogue of a new tenant, without images, and opens it. The directory is made. It fails
// with fs.ErrExist if there is a catalogue.
func Create(cfg Config, id Identity) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := id.validate(); err != nil {
		return nil, fmt.Errorf("ckpt: create tenant %q: %w", id.Tenant, err)
	}
	c := &Catalogue{
		Identity: id, Floor: math.MinInt64,
		Created: time.Now().UnixMilli(), Images: make([][]Entry, id.Stripes),
	}
	if err := createCatalogue(&cfg, c); err != nil {
		return nil, err
	}
	s, err := Open(cfg, id.Tenant)
	if err != nil {
		return nil, errors.Join(err, Discard(cfg))
	}
	return s, nil
}

// Open reads the catalogue. If it is gone or neither of its copies is intact, a new one is made of what the images
// say, and that is logged. Open fails with fs.ErrNotExist if there are no images either, with a *CorruptError if
// there is a damaged catalogue and no image, or another tenant's, with a *VersionError if a newer version of the
// program wrote it.
func Open(cfg Config, tenant string) (*Store, error) {
	cfg = cfg.withDefaults()
	f, c, err := openCatalogue(&cfg)
	if lost(err) {
		if _, err = rebuild(&cfg, tenant, err); err == nil {
			f, c, err = openCatalogue(&cfg)
		}
	}
	if err != nil {
		return nil, err
	}
	if c.Tenant != tenant {
		err := &CorruptError{File: cfg.cataloguePath(), What: "tenant", Err: fmt.Errorf("it is the catalogue of %q and lies in the directory of %q", c.Tenant, tenant)}
		return nil, errors.Join(err, f.close())
	}
	s := &Store{cfg: cfg, id: c.Identity, file: f, cat: c, stripes: make([]stripe, c.Stripes)}
	for i := range s.stripes {
		for j := range s.stripes[i].slots {
			s.stripes[i].slots[j] = slot{cfg: &s.cfg, name: s.cfg.slotPath(i, SlotID(j))}
		}
	}
	return s, nil
}

// Close closes the files. Nothing is synced.
func (s *Store) Close() error {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	err := s.file.close()
	for i := range s.stripes {
		for j := range s.stripes[i].slots {
			err = errors.Join(err, s.stripes[i].slots[j].close())
		}
	}
	return err
}

// Catalogue returns a copy of what is published.
func (s *Store) Catalogue() Catalogue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.cat.clone()
}

// Entries returns a stripe's images, newest first, at most two.
func (s *Store) Entries(stripe int) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.cat.Images[stripe])
}

// CutPoint is the greatest commit that no image needs the log for: the log may be cut up to it. It is the
// commit of the oldest image named, 0 while a stripe has only one, which might turn out to be damaged.
func (s *Store) CutPoint() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cat.cutPoint()
}

// Stats fills st.
func (s *Store) Stats(st *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*st = s.stats
}

func (s *Store) count(f func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.stats)
}

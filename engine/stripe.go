package engine

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/engine/xor"
)

// root is a stripe's own state. It lies in the arena's first extent, so that it is in the image with what it
// describes. It is layout, like record.
type root struct {
	series arena.Table // tag of a series' hash -> index
	pairs  arena.Table // tag of a pair's hash -> Ref
	names  arena.Table // tag of a name's hash -> Ref
	index  arena.Index // index -> record

	next   uint32 // the next series' index; indexes begin at 1 and are never used twice
	live   uint32 // series
	minT   int64  // of all samples accepted; MaxInt64 if none
	maxT   int64  // MinInt64 if none
	stored uint64 // samples accepted since the tenant began

	// drained is the last commit that holds entries of this stripe.
	drained uint64

	// Entries on their way to the log: pending[0:pendingLen] of pendingCap.
	pending    arena.Ref
	pendingLen uint32
	pendingCap uint32

	nextFile uint32 // id of the next chunk file; ids begin at 1

	// mutation is odd while the stripe is being changed. An odd stripe is never imaged: a panic in the
	// middle of a change ends the process, and the image and the log bring it back.
	mutation atomic.Uint32
}

var _ [arena.RootSize - unsafe.Sizeof(root{})]byte

// stripe is a small database of its own: an arena with its series, and a lock. Nothing is shared between
// stripes but the log.
//
// The zero stripe has no arena and costs nothing; the first series makes one.
type stripe struct {
	id      int    // 0..N-1
	log     uint   // log2 N: ref = index<<log | id
	bias    uint32 // staggers table growth
	uid     uint64 // unlike any other stripe's
	reserve uint64 // address space to set aside
	logged  bool   // there is a log that takes the pending entries

	// dirty: entries may be pending. Set under mu, cleared by the committer under mu; read without.
	dirty atomic.Bool
	// tail counts the entries since the stripe's newest image: what a restart would have to replay.
	tail atomic.Int64
	// imaging is what the tail had before an image that is being written: it counts until that is published.
	imaging atomic.Int64
	// since is where that image stands.
	since tailSince
	// replayed: the log of an earlier process held entries that the image does not. Set by recovery.
	replayed bool

	mu     sync.Mutex
	a      *arena.Arena // nil until the first series
	root   *root        // in a
	pend   []entry      // a's pending buffer, its length is root.pendingLen
	chunks *chunkStore
	warm   uint32    // where search leaves what it loaded
	last   arena.Ref // the label set made last, 0 if none
	pairs  []uint32  // of the series being made

	room    uint64 // chunk memory that the request at hand may need: series that it makes must leave it
	closing []byte // where closeChunk puts a chunk together
}

// open makes the stripe's arena. Called under mu.
func (s *stripe) open() error {
	a, err := arena.New(s.reserve)
	if err != nil {
		return err
	}
	s.attach(a)
	s.root.next = 1
	s.root.nextFile = max(s.root.nextFile, 1)
	s.root.minT, s.root.maxT = math.MaxInt64, math.MinInt64
	return nil
}

// attach makes a the stripe's arena. If it is of unknown origin the walk comes next; here nothing is believed yet.
func (s *stripe) attach(a *arena.Arena) {
	s.a = a
	s.root = (*root)(a.Root())
	s.pend, s.last = nil, 0
	r := s.root
	if r.pendingLen <= r.pendingCap && a.Contains(r.pending, uint64(r.pendingCap)*entrySize) {
		s.pend = entriesAt(a, r.pending, r.pendingCap)[:r.pendingLen]
	}
}

// detach gives the stripe's arena back.
func (s *stripe) detach() error {
	a := s.a
	if s.a, s.root, s.pend = nil, nil, nil; a == nil {
		return nil
	}
	return a.Release()
}

// begin and end frame every change of the stripe, under mu.
func (s *stripe) begin() { s.root.mutation.Add(1) }
func (s *stripe) end()   { s.root.mutation.Add(1); s.a.TouchRoot() }

// guard is deferred around a change: a panic in it must not be survived, because a handler's recover would
// leave a half-changed stripe that looks whole.
func (s *stripe) guard() {
	if s.root != nil && s.root.mutation.Load()&1 == 1 {
		exit(s.id, recover(), debug.Stack())
	}
}

// exit ends the process at once, without deferred calls: a restart costs less than a wrong answer. A test
// replaces it.
var exit = func(stripe int, cause any, stack []byte) {
	fmt.Fprintf(os.Stderr, "engine: stripe %d was left in the middle of a change; the process ends here and recovers at its next start: %v\n%s\n", stripe, cause, stack)
	os.Exit(exitHalfChanged)
}

// exitHalfChanged is the exit status of a process that stopped over a half-changed stripe.
const exitHalfChanged = 70

func (s *stripe) ref(index uint32) uint64 { return uint64(index)<<s.log | uint64(s.id) }

func (s *stripe) record(index uint32) *record {
	return arena.At[record](s.a, s.root.index.Get(s.a, index))
}

// ensureRoom commits the memory that making one series can take, so that it cannot fail half way.
func (s *stripe) ensureRoom(key []byte) error {
	const spans = 8 * 256 << 10 // one span of each purpose
	tables := 2 * (s.a.Used(arena.Tables) + s.a.Used(arena.Indexes) + 64<<10)
	return s.a.Ensure(spans + tables + 4*uint64(len(key)) + s.room)
}

// find returns the index of the series with this key, or 0.
func (s *stripe) find(key []byte, hash uint64) uint32 {
	for c := s.root.series.Find(s.a, tagOf(hash)); ; {
		i := c.Next()
		if i == 0 || s.hasKey(s.pairsOf(s.record(i).labels), key) {
			return i
		}
	}
}

// create makes a series of a canonical key. index is 0 for the next free one; replay gives the one it had, and a key
// that nobody has checked. If it fails nothing has changed: ErrFull, the arena has no room; errNotCanonical, that is
// no key.
func (s *stripe) create(key []byte, hash uint64, index uint32) (*record, error) {
	if err := s.ensureRoom(key); err != nil {
		return nil, err
	}
	switch valid := s.split(key); {
	case index == 0:
		index = s.root.next
	case !valid:
		return nil, errNotCanonical
	}
	if index >= maxIndex || uint64(index)<<s.log >= maxRef {
		return nil, fmt.Errorf("%w: stripe %d has used all its series references", arena.ErrFull, s.id)
	}
	return s.mustCreate(key, hash, index), nil
}

const (
	// maxRef bounds a series reference: stock readers pack it into 40 bits.
	maxRef = 1 << 40
	// maxIndex bounds a series' index, so that the next one never wraps, whatever a log says.
	maxIndex = 1 << 31
)

// mustCreate makes a series of the key that was split last. It cannot fail: its memory is committed. If it does fail,
// the program contradicts itself.
func (s *stripe) mustCreate(key []byte, hash uint64, index uint32) *record {
	set, err := s.internSet(key)
	check(err)
	r, err := s.a.Alloc(arena.Records, recordSize)
	check(err)
	rec := arena.At[record](s.a, r)
	*rec = record{labels: set, index: index, kind: kindXOR, flags: flagFirstChunk}
	xor.Start(&rec.state)
	rec.state.T = math.MinInt64
	check(s.root.index.Set(s.a, index, r))
	check(s.root.series.Insert(s.a, tagOf(hash), index, s.bias))
	for _, p := range s.pairsOf(set) {
		check(arena.At[pair](s.a, arena.Ref(p)).series.Append(s.a, index))
		s.a.Touch(arena.Ref(p), pairHead)
	}
	s.root.live++
	s.root.next = max(s.root.next, index+1)
	return rec
}

// internSet stores the label set of the key that was split last.
func (s *stripe) internSet(key []byte) (arena.Ref, error) {
	// Pairs first: the set goes behind the pairs that it names.
	for i := 0; len(key) > 0; i++ {
		if i == len(s.pairs) {
			s.pairs = append(s.pairs, 0)
		}
		if p := s.pairs[i]; p != 0 {
			key = key[len(s.pairBytes(arena.Ref(p))):]
			continue
		}
		b, rest, ok := nextPair(key)
		if !ok {
			return 0, errNotCanonical
		}
		r, err := s.internPair(b)
		if err != nil {
			return 0, err
		}
		s.pairs[i], key = uint32(r), rest
	}
	set, err := s.a.Alloc(arena.Labels, 4+4*len(s.pairs))
	if err != nil {
		return 0, err
	}
	*arena.At[uint32](s.a, set) = uint32(len(s.pairs))
	copy(s.pairsOf(set), s.pairs)
	s.last = set
	return set, nil
}

func check(err error) {
	if err != nil {
		panic(fmt.Sprintf("engine: an operation whose memory was set aside failed: %v", err))
	}
}

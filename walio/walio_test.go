package walio

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/rekindledb/rekindle/arena/disk"
)

// The helpers of this package's tests: a source that is filled by hand, a handler that remembers, and the
// comparison of both.

var testIdentity = Identity{Tenant: "anonymous", Generation: 1, Stripes: 4, HashID: 1, RefLayout: 1}

// entry is a sample, a series (key set) or a record (rec set), as the test remembers it.
type entry struct {
	ref uint64
	t   int64
	v   uint64
	key string
	rec string
}

// testSource keeps what is pending by hand. It remembers which commit got what.
type testSource struct {
	mu      sync.Mutex
	pending []entry
	force   bool
	commits map[uint64][]entry
	// onDrain, if set, runs in every Drain.
	onDrain func(commit uint64, b *Batch)
}

func newTestSource() *testSource { return &testSource{commits: map[uint64][]entry{}} }

func (s *testSource) add(e ...entry) {
	s.mu.Lock()
	s.pending = append(s.pending, e...)
	s.mu.Unlock()
}

func (s *testSource) Drain(commit uint64, b *Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.pending {
		switch {
		case e.key != "":
			b.Series(e.ref, []byte(e.key))
		case e.rec != "":
			b.Record([]byte(e.rec))
		default:
			b.Sample(e.ref, e.t, e.v)
		}
	}
	if len(s.pending) > 0 || s.force {
		s.commits[commit] = append(s.commits[commit], s.pending...)
	}
	if s.force {
		b.Force()
	}
	s.pending = nil
	if s.onDrain != nil {
		s.onDrain(commit, b)
	}
}

// wanted is what a stripe should get from the commits in (from, to].
func (s *testSource) wanted(stripe int, from, to uint64) []entry {
	var out []entry
	for c := from + 1; c <= to; c++ {
		var later []entry
		for _, e := range s.commits[c] {
			if int(e.ref)%int(testIdentity.Stripes) != stripe {
				continue
			}
			if e.key != "" {
				out = append(out, e) // series first
			} else {
				later = append(later, e)
			}
		}
		out = append(out, later...)
	}
	return out
}

// recorder is a Handler that remembers everything, by stripe.
type recorder struct {
	stripes [stripesMax][]entry
}

func (r *recorder) Apply(stripe int, windows []StripeWindow) error {
	for _, w := range windows {
		r.apply(stripe, w)
	}
	return nil
}

func (r *recorder) apply(stripe int, w StripeWindow) {
	for _, run := range w.Runs {
		switch run.Kind {
		case RunSeries:
			for _, s := range w.Series[run.Lo:run.Hi] {
				r.stripes[stripe] = append(r.stripes[stripe], entry{ref: s.Ref, key: string(s.Key)})
			}
		case RunSamples:
			for _, s := range w.Samples[run.Lo:run.Hi] {
				ref := uint64(s.Index)*uint64(testIdentity.Stripes) + uint64(stripe)
				r.stripes[stripe] = append(r.stripes[stripe], entry{ref: ref, t: run.Base + int64(s.Offset), v: s.V})
			}
		case RunRecord:
			r.stripes[stripe] = append(r.stripes[stripe], entry{rec: string(run.Record)})
		}
	}
}

// key builds a canonical label set.
func key(pairs ...string) string {
	var b []byte
	for i := 0; i < len(pairs); i += 2 {
		b = appendLabel(b, []byte(pairs[i]), []byte(pairs[i+1]))
	}
	return string(b)
}

// tombstone encodes a Tombstones record of one reference.
func tombstone(ref uint64, t int64) string {
	b := binary.BigEndian.AppendUint64([]byte{recordTombstones}, ref)
	b = binary.AppendVarint(b, math.MinInt64)
	return string(binary.AppendVarint(b, t))
}

type testDir struct {
	t    *testing.T
	fs   disk.FS
	root string
}

func newTestDir(t *testing.T) *testDir { return &testDir{t, disk.OS, t.TempDir()} }

func (d *testDir) wal() string   { return filepath.Join(d.root, "wal") }
func (d *testDir) aside() string { return filepath.Join(d.root, "aside") }

func (d *testDir) options(pos Position) Options {
	return Options{FS: d.fs, Dir: d.wal(), Identity: testIdentity, Epoch: 1, Resume: pos, Compression: CompressionSnappy, Logger: quiet}
}

func (d *testDir) recoverOptions() RecoverOptions {
	return RecoverOptions{
		FS: d.fs, Dir: d.wal(), Identity: testIdentity, Epoch: 1, AsideDir: d.aside(),
		Ledger: filepath.Join(d.root, "ledger.jsonl"), Workers: 3, Window: 100, Logger: quiet,
	}
}

var quiet = slog.New(slog.DiscardHandler)

func (d *testDir) start(pos Position, src Source, change ...func(*Options)) *Log {
	d.t.Helper()
	o := d.options(pos)
	for _, f := range change {
		f(&o)
	}
	l, err := Start(o, src)
	if err != nil {
		d.t.Fatal(err)
	}
	return l
}

func (d *testDir) recover(change ...func(*RecoverOptions)) (Result, *recorder) {
	d.t.Helper()
	o := d.recoverOptions()
	for _, f := range change {
		f(&o)
	}
	rec := &recorder{}
	res, err := Recover(context.Background(), o, rec)
	if err != nil {
		d.t.Fatal(err)
	}
	return res, rec
}

// check compares what a recovery gave with what the source was drained of.
func (d *testDir) check(src *testSource, rec *recorder, from []uint64, to uint64) {
	d.t.Helper()
	for s := range int(testIdentity.Stripes) {
		f := uint64(0)
		if from != nil {
			f = from[s]
		}
		want := src.wanted(s, f, to)
		got := rec.stripes[s]
		for i := range want {
			if want[i].rec != "" {
				want[i] = entry{rec: want[i].rec}
			}
		}
		if !slices.Equal(want, got) {
			i := 0
			for i < min(len(want), len(got)) && want[i] == got[i] {
				i++
			}
			d.t.Fatalf("stripe %d: got %d entries, want %d; first difference at %d", s, len(got), len(want), i)
		}
	}
}

func wait(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func closeLog(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// workload produces commits of mixed size, like scrapes of a growing set of series.
type workload struct {
	rng    *rand.Rand
	series uint64
	t      int64
}

func newWorkload(seed uint64) *workload {
	return &workload{rng: rand.New(rand.NewPCG(seed, 1)), t: 1_700_000_000_000}
}

func (w *workload) next(n int) []entry {
	var out []entry
	w.t += int64(w.rng.IntN(20_000))
	for range w.rng.IntN(n/10 + 2) {
		ref := w.series + uint64(testIdentity.Stripes) // index from 1, all stripes in turn
		w.series++
		out = append(out, entry{ref: ref, key: key("__name__", fmt.Sprintf("metric_%d", ref%7), "instance", fmt.Sprint(ref))})
	}
	for range w.rng.IntN(n) {
		if w.series == 0 {
			break
		}
		ref := w.rng.Uint64N(w.series) + uint64(testIdentity.Stripes)
		out = append(out, entry{ref: ref, t: w.t + int64(w.rng.IntN(1000)), v: math.Float64bits(float64(w.rng.IntN(1000)))})
	}
	return out
}

// appendSum completes one of our own records by its checksum.
func appendSum(rec []byte) []byte {
	return binary.LittleEndian.AppendUint64(slices.Clone(rec), xxhash.Sum64(rec))
}

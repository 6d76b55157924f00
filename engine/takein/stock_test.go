package takein

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/compression"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/engine"
)

// stock is a directory that Prometheus's own TSDB writes, with everything in it that can be.
type stock struct {
	t   *testing.T
	dir string
	db  *tsdb.DB
	r   *rand.Rand
	now int64

	floats, late, hists, fhists, stale, exemplars, metadata int

	lateTimes map[string]bool // of what was sent late, by series: stock drops the second sample of a time
}

const step = 15_000

func newStock(t *testing.T, seed uint64, change ...func(*tsdb.Options)) *stock {
	s := &stock{t: t, dir: filepath.Join(t.TempDir(), "stock"), r: rand.New(rand.NewPCG(seed, 1)), now: 1_700_000_000_000, lateTimes: map[string]bool{}}
	s.open(change...)
	return s
}

func (s *stock) open(change ...func(*tsdb.Options)) {
	o := tsdb.DefaultOptions()
	o.WALSegmentSize = 128 << 10
	o.WALCompression = compression.Snappy
	o.OutOfOrderTimeWindow = (30 * time.Minute).Milliseconds()
	o.EnableExemplarStorage, o.MaxExemplars = true, 1000
	o.RetentionDuration = 0
	for _, f := range change {
		f(o)
	}
	db, err := tsdb.Open(s.dir, slog.New(slog.DiscardHandler), nil, o, nil)
	require.NoError(s.t, err)
	db.DisableCompactions()
	s.db = db
}

func (s *stock) labels(i int) labels.Labels {
	return labels.FromStrings("__name__", fmt.Sprintf("metric_%d", i%5), "pod", fmt.Sprint("pod-", i), "odd", "a\"\n\\ü")
}

// scrape appends n scrapes of floats, histograms, exemplars and metadata; some series pause, some become stale, some
// send late samples.
func (s *stock) scrape(series, n int) {
	for range n {
		s.now += step
		app := s.db.Appender(context.Background())
		for i := range series {
			l := s.labels(i)
			switch k := s.r.IntN(40); {
			case k == 0:
				continue
			case i%9 == 4: // a native histogram, which ends in a staleness marker now and then
				if k == 1 {
					_, err := app.Append(0, l, s.now, math.Float64frombits(value.StaleNaN))
					require.NoError(s.t, err)
					s.stale++
					continue
				}
				if i%2 == 0 {
					_, err := app.AppendHistogram(0, l, s.now, tsdbutil.GenerateTestHistogram(s.now/step%100), nil)
					require.NoError(s.t, err)
					s.hists++
				} else {
					_, err := app.AppendHistogram(0, l, s.now, nil, tsdbutil.GenerateTestFloatHistogram(s.now/step%100))
					require.NoError(s.t, err)
					s.fhists++
				}
				continue
			}
			v := float64(s.r.IntN(1000)) / 4
			switch s.r.IntN(60) {
			case 0:
				v = math.Float64frombits(value.StaleNaN)
			case 1:
				v = math.Inf(-1)
			}
			ref, err := app.Append(0, l, s.now+int64(i%11), v)
			require.NoError(s.t, err)
			s.floats++
			if s.r.IntN(30) == 0 {
				_, err := app.AppendExemplar(ref, l, exemplar.Exemplar{Labels: labels.FromStrings("trace", "x"), Value: 1, Ts: s.now + int64(i%11), HasTs: true})
				require.NoError(s.t, err)
				s.exemplars++
			}
			if s.r.IntN(100) == 0 {
				_, err := app.UpdateMetadata(ref, l, metadata.Metadata{Type: "counter", Unit: "s", Help: fmt.Sprint(s.now)})
				require.NoError(s.t, err)
				s.metadata++
			}
		}
		require.NoError(s.t, app.Commit())
	}
}

// lateSamples appends n samples that are out of order, at times that no scrape has.
func (s *stock) lateSamples(series, n int) {
	app := s.db.Appender(context.Background())
	for range n {
		i := s.r.IntN(series)
		if i%9 == 4 {
			continue
		}
		ts := s.now - s.r.Int64N(100)*step - 7_000 + int64(s.r.IntN(500))
		if key := fmt.Sprint(i, ts); s.lateTimes[key] {
			continue
		} else {
			s.lateTimes[key] = true
		}
		_, err := app.Append(0, s.labels(i), ts, float64(s.r.IntN(100)))
		require.NoError(s.t, err)
		s.late++
	}
	require.NoError(s.t, app.Commit())
}

func (s *stock) close() { require.NoError(s.t, s.db.Close()) }

// point is a sample, bit for bit.
type point struct {
	t int64
	v uint64
}

type all map[string][]point

func (a all) samples() (n int) {
	for _, p := range a {
		n += len(p)
	}
	return n
}

// answers is what stock Prometheus answers from a copy of the directory.
func (s *stock) answers() all {
	copied := copyOf(s.t, s.dir)
	ro, err := tsdb.OpenDBReadOnly(copied, s.t.TempDir(), nil)
	require.NoError(s.t, err)
	q, err := ro.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(s.t, err)
	first := read(s.t, q)
	blocks, err := ro.Blocks()
	require.NoError(s.t, err)
	require.NoError(s.t, ro.Close())

	o := tsdb.DefaultOptions()
	o.OutOfOrderTimeWindow, o.RetentionDuration = (30 * time.Minute).Milliseconds(), 0
	db, err := tsdb.Open(copied, nil, nil, o, nil)
	require.NoError(s.t, err)
	q, err = db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(s.t, err)
	second := read(s.t, q)
	require.NoError(s.t, db.Close())
	if len(blocks) == 0 { // read-only it takes the end of an out-of-order block for the beginning of the head
		requireEqual(s.t, first, second)
	}
	return second
}

// lateBlocks is what is in blocks of out-of-order samples.
func (s *stock) lateBlocks() all {
	out := all{}
	for _, b := range s.db.Blocks() {
		if m := b.Meta(); !m.Compaction.FromOutOfOrder() {
			continue
		}
		q, err := tsdb.NewBlockQuerier(b, math.MinInt64, math.MaxInt64)
		require.NoError(s.t, err)
		for name, points := range read(s.t, q) {
			out[name] = append(out[name], points...)
		}
	}
	return out
}

// without leaves out samples.
func (a all) without(b all) all {
	out := all{}
	for name, points := range a {
		for _, p := range points {
			if !slices.Contains(b[name], p) {
				out[name] = append(out[name], p)
			}
		}
	}
	return out
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

func read(t *testing.T, q storage.Querier) all {
	t.Helper()
	out := all{}
	set := q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".*"))
	for set.Next() {
		s := set.At()
		it := s.Iterator(nil)
		for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
			if vt == chunkenc.ValFloat {
				ts, v := it.At()
				out[s.Labels().String()] = append(out[s.Labels().String()], point{ts, math.Float64bits(v)})
			}
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	require.NoError(t, q.Close())
	return out
}

func requireEqual(t *testing.T, want, got all) {
	t.Helper()
	for name, w := range want {
		g := got[name]
		for i := range w {
			if i >= len(g) || g[i] != w[i] {
				t.Fatalf("%s: sample %d of %d, got %d: %v is missing or wrong", name, i, len(w), len(g), w[i])
			}
		}
		require.Len(t, g, len(w), name)
	}
	require.Len(t, got, len(want))
}

// since leaves out what is older.
func (a all) since(t int64) all {
	out := all{}
	for name, points := range a {
		for _, p := range points {
			if p.t >= t {
				out[name] = append(out[name], p)
			}
		}
	}
	return out
}

// fingerprint is everything in a directory: names, contents, times and modes.
func fingerprint(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		out[path] = fmt.Sprint(info.ModTime(), info.Mode())
		if !d.IsDir() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			out[path] += fmt.Sprintf(" %x", sha256.Sum256(b))
		}
		return nil
	}))
	return out
}

func config(dir string) engine.Config {
	return engine.Config{Dir: dir, WAL: true, Recover: true, Checkpoint: true, Stripes: 4, Logger: slog.New(slog.DiscardHandler)}
}

// held is what an engine answers that is started on a data directory.
func held(t *testing.T, c engine.Config, tenant string) all {
	t.Helper()
	e, err := engine.Open(c)
	require.NoError(t, err)
	require.NoError(t, e.Recover(context.Background()))
	defer func() { require.NoError(t, e.Close()) }()
	out := all{}
	if e.Tenant(tenant) == nil {
		return out
	}
	list, err := e.Tenant(tenant).Select(context.Background(), math.MinInt64, math.MaxInt64, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".*"))
	require.NoError(t, err)
	for _, s := range list {
		var it chunkenc.Iterator
		for _, c := range s.Chunks {
			x, err := chunkenc.FromData(c.Enc, c.Data)
			require.NoError(t, err)
			it = x.Iterator(it)
			for it.Next() == chunkenc.ValFloat {
				ts, v := it.At()
				out[s.Labels.String()] = append(out[s.Labels.String()], point{ts, math.Float64bits(v)})
			}
			require.NoError(t, it.Err())
		}
	}
	return out
}

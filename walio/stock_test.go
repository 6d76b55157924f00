package walio

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	promrecord "github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/tombstones"
	"github.com/prometheus/prometheus/tsdb/wlog"

	"github.com/rekindledb/rekindle/arena/disk"
)

// Prometheus's own reader is the oracle of this package: whatever is on disk after a start, it must read
// without an error and see what we see.

// stockEntries reads a directory of segments with tsdb/wlog and tsdb/record.
func stockEntries(t *testing.T, dir string) []entry {
	t.Helper()
	rc, err := wlog.NewSegmentsReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	r, dec := wlog.NewReader(rc), promrecord.NewDecoder(nil, quiet)
	var out []entry
	for r.Next() {
		out = append(out, decodeStock(t, &dec, r.Record())...)
	}
	if r.Err() != nil {
		t.Fatalf("Prometheus's reader: %v", r.Err())
	}
	return out
}

func decodeStock(t *testing.T, dec *promrecord.Decoder, rec []byte) (out []entry) {
	t.Helper()
	switch dec.Type(rec) {
	case promrecord.Series:
		series, err := dec.Series(rec, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range series {
			var pairs []string
			s.Labels.Range(func(l labels.Label) { pairs = append(pairs, l.Name, l.Value) })
			out = append(out, entry{ref: uint64(s.Ref), key: key(pairs...)})
		}
	case promrecord.Samples:
		samples, err := dec.Samples(rec, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			out = append(out, entry{ref: uint64(s.Ref), t: s.T, v: math.Float64bits(s.V)})
		}
	case promrecord.Tombstones:
		stones, err := dec.Tombstones(rec, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range stones {
			out = append(out, stoneEntry(s))
		}
	}
	return out
}

func stoneEntry(s tombstones.Stone) entry {
	return entry{ref: uint64(s.Ref), rec: tombstone(uint64(s.Ref), s.Intervals[0].Maxt)}
}

// logOrder is all that the source gave for commits in (from, to], as it stands in the log.
func (s *testSource) logOrder(from, to uint64) (out []entry) {
	for c := from + 1; c <= to; c++ {
		for _, e := range s.commits[c] {
			if e.key != "" {
				out = append(out, e)
			}
		}
		for _, e := range s.commits[c] {
			if e.key == "" {
				out = append(out, e)
			}
		}
	}
	return out
}

// export copies a directory of any file system to a real one, for stock tools.
func export(t *testing.T, from disk.FS, dir string) string {
	t.Helper()
	to := t.TempDir()
	var walk func(from2, to string)
	walk = func(dir, to string) {
		if err := os.MkdirAll(to, 0o777); err != nil {
			t.Fatal(err)
		}
		entries, err := from.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := filepath.Join(dir, e.Name())
			if e.IsDir() {
				walk(name, filepath.Join(to, e.Name()))
				continue
			}
			data, err := disk.ReadFile(from, name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(to, e.Name()), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	walk(dir, to)
	return to
}

// Every segment that we write is read back by Prometheus's reader, record by record the same, whatever the
// compression and wherever pages and segments end.
func TestStockReaderSeesTheSame(t *testing.T) {
	for _, comp := range []Compression{CompressionNone, CompressionSnappy, CompressionZstd} {
		d, src, w := newTestDir(t), newTestSource(), newWorkload(7+uint64(comp))
		l := d.start(Position{}, src, func(o *Options) { o.Compression, o.SegmentSize = comp, 3*pageSize })
		for i := range 60 {
			src.add(w.next(1 + 3000*(i%2)*(i%7))...)
			if i%5 == 4 {
				src.add(entry{ref: 4, rec: tombstone(4, int64(i))})
				src.add(w.next(50)...)
			}
			wait(t, l)
		}
		closeLog(t, l)
		if got, want := stockEntries(t, d.wal()), src.logOrder(0, l.Written()); !slices.Equal(got, want) {
			t.Fatalf("compression %d: Prometheus reads %d entries, %d were written", comp, len(got), len(want))
		}
	}
}

// openStock opens <root>/wal in tsdb.OpenDBReadOnly and returns the number of samples of each series.
func openStock(t *testing.T, root string) map[string]int {
	t.Helper()
	db, err := tsdb.OpenDBReadOnly(root, t.TempDir(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	set := q.Select(t.Context(), false, &storage.SelectHints{Start: math.MinInt64, End: math.MaxInt64},
		labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".*"))
	got := map[string]int{}
	for set.Next() {
		it := set.At().Iterator(nil)
		n := 0
		for it.Next() == chunkenc.ValFloat {
			n++
		}
		if it.Err() != nil {
			t.Fatal(it.Err())
		}
		got[set.At().Labels().String()] = n
	}
	if set.Err() != nil {
		t.Fatal(set.Err())
	}
	return got
}

// The directory opens in tsdb.OpenDBReadOnly and shows every sample of every series.
func TestStockDatabaseOpens(t *testing.T) {
	d, src := newTestDir(t), newTestSource()
	l := d.start(Position{}, src, func(o *Options) { o.SegmentSize = pageSize })
	const series, scrapes = 200, 50
	for i := range uint64(series) {
		src.add(entry{ref: i + 4, key: key("__name__", "up", "instance", fmt.Sprint(i))})
	}
	for s := range int64(scrapes) {
		for i := range uint64(series) {
			src.add(entry{ref: i + 4, t: 1_700_000_000_000 + s*15_000, v: math.Float64bits(float64(s))})
		}
		wait(t, l)
	}
	closeLog(t, l)
	got := openStock(t, d.root)
	if len(got) != series {
		t.Fatalf("Prometheus sees %d series of %d", len(got), series)
	}
	for name, n := range got {
		if n != scrapes {
			t.Fatalf("Prometheus sees %d samples of %s, %d were written", n, name, scrapes)
		}
	}
}

package main

import (
	stdbytes "bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/engine"
)

// The helpers of this package's tests: a data directory with everything in it, and comparisons of all samples.

// point is a sample, bit for bit.
type point struct {
	t int64
	v uint64
}

// all is what a database holds, by series.
type all map[string][]point

func (a all) samples() (n int) {
	for _, s := range a {
		n += len(s)
	}
	return n
}

var testStart = time.UnixMilli(1_700_000_000_000)

// testEngine opens an engine on dir and recovers it.
func testEngine(t *testing.T, dir string, change ...func(*engine.Config)) *engine.Engine {
	t.Helper()
	c := engine.Config{
		Dir: dir, WAL: true, Recover: true, Checkpoint: true, Stripes: 4, SegmentSize: 64 << 10,
		Now:    func() time.Time { return testStart.Add(24 * time.Hour) },
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&c)
	}
	e, err := engine.Open(c)
	require.NoError(t, err)
	require.NoError(t, e.Recover(context.Background()))
	return e
}

// pusher fills an engine and remembers with what.
type pusher struct {
	r    *rand.Rand
	now  int64
	held map[string]all // by tenant
}

func newPusher(seed uint64) *pusher {
	return &pusher{r: rand.New(rand.NewPCG(seed, 0)), now: testStart.UnixMilli(), held: map[string]all{}}
}

func series(i int) labels.Labels {
	b := labels.NewScratchBuilder(4)
	b.Add("__name__", fmt.Sprintf("metric_%d", i%7))
	b.Add("escaped", "a \"quoted\"\nback\\slash ä")
	b.Add("pod", fmt.Sprint("pod-", i))
	if i%11 == 3 {
		b.Add("utf8.label", "x")
	}
	b.Sort()
	return b.Labels()
}

// push sends n scrapes of a tenant, 15 s apart.
func (p *pusher) push(t *testing.T, e *engine.Engine, tenant string, series0, n int) {
	t.Helper()
	if p.held[tenant] == nil {
		p.held[tenant] = all{}
	}
	for range n {
		p.now += 15_000
		var b engine.Batch
		for i := range series0 {
			if p.r.IntN(10) == 0 {
				continue
			}
			l := series(i)
			var key []byte
			l.Range(func(l labels.Label) { key = appendLabel(key, l) })
			x := point{p.now + int64(i%13), p.value(i)}
			lo := uint32(len(b.Samples))
			b.Samples = append(b.Samples, engine.Sample{T: x.t, V: x.v})
			b.Series = append(b.Series, engine.BatchSeries{Key: key, Lo: lo, Hi: lo + 1})
			p.held[tenant][l.String()] = append(p.held[tenant][l.String()], x)
		}
		_, err := e.Append(context.Background(), tenant, &b)
		require.NoError(t, err)
	}
}

// pushUntilCut sends scrapes until images have been taken and the log has been cut.
func (p *pusher) pushUntilCut(t *testing.T, e *engine.Engine, dir, tenant string, series0 int) {
	t.Helper()
	for cut := false; !cut; time.Sleep(5 * time.Millisecond) {
		p.push(t, e, tenant, series0, 5)
		names, err := filepath.Glob(filepath.Join(dir, tenant, "wal", "checkpoint.*[0-9]")) // not one that is being written
		require.NoError(t, err)
		cut = len(names) > 0
	}
}

func (p *pusher) value(i int) uint64 {
	special := []float64{math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64}
	switch k := p.r.IntN(200); {
	case k < len(special):
		return math.Float64bits(special[k])
	case k == 100:
		return value.StaleNaN
	case k == 101:
		return 0x7ff8_0000_dead_beef // a NaN of nobody's
	}
	return math.Float64bits(float64(i) * float64(p.r.IntN(1000)) / 8)
}

func appendLabel(dst []byte, l labels.Label) []byte {
	uvarint := func(b []byte, n int) []byte {
		for ; n >= 0x80; n >>= 7 {
			b = append(b, byte(n)|0x80)
		}
		return append(b, byte(n))
	}
	inner := append(uvarint([]byte{0x0a}, len(l.Name)), l.Name...)
	inner = append(uvarint(append(inner, 0x12), len(l.Value)), l.Value...)
	return append(uvarint(append(dst, 0x0a), len(inner)), inner...)
}

// shared is the data directory that tests get copies of.
var shared struct {
	sync.Once
	dir  string
	held map[string]all
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// testData returns a data directory of two tenants, and what they hold: images, closed chunks of several ranges, a log
// that was cut and goes on behind them, as a killed process leaves it.
func testData(t *testing.T) (dir string, held map[string]all) {
	t.Helper()
	shared.Do(func() {
		dir, err := os.MkdirTemp("", "ingestctl-test-")
		require.NoError(t, err)
		shared.dir, shared.held = dir, fill(t, dir)
	})
	return copyOf(t, shared.dir), maps.Clone(shared.held)
}

func fill(t *testing.T, dir string) map[string]all {
	p := newPusher(1)
	e := testEngine(t, dir, func(c *engine.Config) { c.RestartTarget = time.Millisecond })
	p.push(t, e, "team-a", 120, 600)
	p.pushUntilCut(t, e, dir, "team-a", 120)
	p.push(t, e, "team-b", 10, 30)
	require.NoError(t, e.Close())
	e = testEngine(t, dir, func(c *engine.Config) { c.Checkpoint = false }) // a clean stop leaves nothing to replay else
	p.push(t, e, "team-a", 140, 250)
	require.NoError(t, e.Close())
	return p.held
}

// read reads all float samples of a querier.
func read(t *testing.T, q storage.Querier) all {
	t.Helper()
	out := all{}
	set := q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".*"))
	for set.Next() {
		s := set.At()
		it := s.Iterator(nil)
		for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
			if vt != chunkenc.ValFloat {
				continue
			}
			ts, v := it.At()
			out[s.Labels().String()] = append(out[s.Labels().String()], point{ts, math.Float64bits(v)})
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	require.NoError(t, q.Close())
	return out
}

// requireEqual compares sample by sample, and says where the first difference is.
func requireEqual(t *testing.T, want, got all) {
	t.Helper()
	for name, w := range want {
		g := got[name]
		for i := range w {
			if i >= len(g) || g[i] != w[i] {
				t.Fatalf("%s: sample %d of %d is missing or wrong: %v", name, i, len(w), w[i])
			}
		}
		require.Len(t, g, len(w), name)
	}
	require.Len(t, got, len(want))
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

// ctl runs the command as a shell would.
func ctl(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs stdbytes.Buffer
	code = run(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

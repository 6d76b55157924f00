package walio

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"runtime"
	"testing"

	promrecord "github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"

	"github.com/rekindledb/rekindle/arena/disk"
)

// scrapes is a load of counters: every series has one sample a scrape, all at nearly the same time, and grows
// by a whole number of its own.
type scrapes struct {
	values  []float64
	stripes int
	t       int64
	next    int // series by stripe, not yet in this scrape
}

func newScrapes(series, stripes int) *scrapes {
	return &scrapes{values: make([]float64, series), stripes: stripes, t: 1_700_000_000_000}
}

// fill adds n samples to b, stripe after stripe, as the engine drains them.
func (s *scrapes) fill(b *Batch, n int) {
	perStripe := len(s.values) / s.stripes
	lo, hi := s.next, min(s.next+max(n/s.stripes, 1), perStripe)
	for stripe := range s.stripes {
		for i := lo; i < hi; i++ {
			v := &s.values[stripe*perStripe+i]
			*v += float64(1 + i%97)
			b.Sample(uint64(i+1)*uint64(s.stripes)+uint64(stripe), s.t+int64(i%100), math.Float64bits(*v))
		}
	}
	if s.next = hi; hi == perStripe {
		s.next, s.t = 0, s.t+15_000
	}
}

// What a sample costs from the call of Batch.Sample to bytes ready for one write, and how many bytes that are.
func BenchmarkEncode(b *testing.B) {
	for _, comp := range []struct {
		name string
		kind Compression
	}{{"none", CompressionNone}, {"snappy", CompressionSnappy}, {"zstd", CompressionZstd}} {
		for _, n := range []int{500, 20_000, 500_000} {
			b.Run(fmt.Sprintf("compression=%s/samples=%d", comp.name, n), func(b *testing.B) {
				c, err := newCompressor(comp.kind)
				if err != nil {
					b.Fatal(err)
				}
				s := newScrapes(1<<20, 64)
				var batch Batch
				var e encoded
				var h commitHeader
				var frames []byte
				samples, bytes := 0, 0
				b.ReportAllocs()
				for b.Loop() {
					batch.reset()
					s.fill(&batch, n)
					batch.finish()
					h.commit++
					encodeCommit(&e, &batch, &h, c)
					frames = e.appendFrames(frames[:0], 0)
					samples += int(batch.counts.Samples)
					bytes += len(frames)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(samples), "ns/sample")
				b.ReportMetric(float64(bytes)/float64(samples), "B/sample")
			})
		}
	}
}

// scrapesSource gives perCommit samples a commit.
type scrapesSource struct {
	*scrapes
	perCommit int
}

func (s *scrapesSource) Drain(_ uint64, b *Batch) { s.fill(b, s.perCommit) }

// What a sample costs from the wake-up of the committer to an acknowledged commit, on the disk of the
// temporary directory, syncs beside it.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{512, 20_480, 500_032} {
		b.Run(fmt.Sprintf("samples=%d", n), func(b *testing.B) {
			src := &scrapesSource{newScrapes(1<<20, 64), n}
			l, err := Start(benchOptions(b.TempDir()), src)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := l.Wait(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			var s Stats
			l.Stats(&s)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(s.Samples), "ns/sample")
			b.ReportMetric(float64(s.Bytes)/float64(s.Samples), "B/sample")
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// What waiting costs: many requests at once, each answered by the next commit.
func BenchmarkWait(b *testing.B) {
	for _, waiters := range []int{1, 500} {
		b.Run(fmt.Sprintf("waiters=%d", waiters), func(b *testing.B) {
			l, err := Start(benchOptions(b.TempDir()), &scrapesSource{newScrapes(1<<16, 64), 512})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetParallelism(max(waiters/runtime.GOMAXPROCS(0), 1))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.Wait(b.Context()); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/float64(l.Written()), "waits/commit")
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func benchOptions(dir string) Options {
	id := testIdentity
	id.Stripes = 64
	return Options{FS: disk.OS, Dir: filepath.Join(dir, "wal"), Identity: id, Epoch: 1, Compression: CompressionSnappy, Logger: quiet}
}

// discard is a handler that looks at every sample and keeps none.
type discard struct {
	sums [stripesMax]struct{ v, _, _, _, _, _, _, _ uint64 }
}

func (d *discard) Apply(stripe int, windows []StripeWindow) error {
	sum := uint64(0)
	for _, w := range windows {
		for _, r := range w.Runs {
			if r.Kind == RunSamples {
				for i := range w.Samples[r.Lo:r.Hi] {
					sum += w.Samples[int(r.Lo)+i].V
				}
			}
		}
	}
	d.sums[stripe].v += sum
	return nil
}

// How fast a log of small and of large commits is read: by Recover, both passes and no work in the handler,
// and by Prometheus's reader and decoder, which check less and hand the samples to nobody.
func BenchmarkReplay(b *testing.B) {
	for _, n := range []int{512, 20_480} {
		dir := b.TempDir()
		src := &scrapesSource{newScrapes(1<<18, 64), n}
		l, err := Start(benchOptions(dir), src)
		if err != nil {
			b.Fatal(err)
		}
		const samples = 4 << 20
		for range samples / n {
			if err := l.Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		o := benchOptions(dir)
		total := uint64(0)
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("reader=walio/commit=%d/workers=%d", n, workers), func(b *testing.B) {
				for b.Loop() {
					res, err := Recover(b.Context(), RecoverOptions{
						FS: o.FS, Dir: o.Dir, Identity: o.Identity, Epoch: 1, Workers: workers, Logger: quiet,
					}, &discard{})
					if err != nil || len(res.Losses) > 0 {
						b.Fatal(err, res.Losses)
					}
					total = res.Applied.Samples
				}
				b.ReportMetric(float64(total)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
			})
		}
		b.Run(fmt.Sprintf("reader=prometheus/commit=%d", n), func(b *testing.B) {
			for b.Loop() {
				if got := readStock(b, o.Dir); got != total {
					b.Fatalf("Prometheus reads %d samples, we %d", got, total)
				}
			}
			b.ReportMetric(float64(total)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
		})
	}
}

func readStock(b *testing.B, dir string) uint64 {
	var rc io.ReadCloser
	rc, err := wlog.NewSegmentsReader(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer rc.Close()
	r, dec := wlog.NewReader(rc), promrecord.NewDecoder(nil, quiet)
	var samples []promrecord.RefSample
	n := uint64(0)
	for r.Next() {
		if rec := r.Record(); dec.Type(rec) == promrecord.Samples {
			if samples, err = dec.Samples(rec, samples[:0]); err != nil {
				b.Fatal(err)
			}
			n += uint64(len(samples))
		}
	}
	if r.Err() != nil {
		b.Fatal(r.Err())
	}
	return n
}

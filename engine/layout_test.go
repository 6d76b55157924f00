package engine

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var writeLayout = flag.Bool("write-layout", false, "write testdata/layout<N>.tar.gz of the layout that this version writes")

// layoutContents is what the directories in testdata hold: series with closed chunks in two block ranges and
// open ones, in images of both slots and in the log behind them.
func layoutContents() (rounds []Batch, want map[string][]Sample) {
	want = map[string][]Sample{}
	begin := testNow.UnixMilli() / blockRange * blockRange
	for k := range 400 {
		var b Batch
		for i := range 12 + k/100 {
			if i%3 == 2 && k%2 == 1 {
				continue
			}
			s := sample(begin+blockRange-3_000_000+int64(k)*15_000, float64(k*i)/8)
			add(&b, pod(i), s)
			want[pod(i).String()] = append(want[pod(i).String()], s)
		}
		rounds = append(rounds, b)
	}
	return rounds, want
}

// Every directory that a released layout wrote is read by this version, and goes on to take samples: images,
// chunk files, catalogue, log and instance file together. A layout that changes gets a new fixture, written by
//
//	go test ./engine -run TestLayouts -write-layout
//
// and a conversion; the old fixture stays.
func TestLayouts(t *testing.T) {
	rounds, want := layoutContents()
	if *writeLayout {
		c := testConfig(t, func(c *Config) { c.Stripes, c.Instance = 2, "fixture" })
		e := start(t, c)
		for k := range rounds {
			push(t, e, "tenant", &rounds[k])
			if k == 150 || k == 300 {
				require.NoError(t, e.Close()) // images
				e = start(t, c)
			}
		}
		// As a kill would leave it: a tail behind the images.
		pack(t, c.Dir, filepath.Join("testdata", fmt.Sprintf("layout%d.tar.gz", arenaLayout)))
		require.NoError(t, e.Close())
	}
	fixtures, err := filepath.Glob(filepath.Join("testdata", "layout*.tar.gz"))
	require.NoError(t, err)
	require.NotEmpty(t, fixtures)
	for _, f := range fixtures {
		c := testConfig(t)
		unpack(t, f, c.Dir)
		e := start(t, c)
		require.Equal(t, "fixture", e.Instance())
		require.Equal(t, want, contents(t, e, "tenant"), f)
		var st Stats
		e.Tenant("tenant").Stats(&st)
		require.NotZero(t, st.Recover.ImageBytes, "%s: the images are read", f)
		require.NotZero(t, st.Recover.Samples, "%s: the log is replayed", f)
		require.Zero(t, st.Recover.Losses+int(st.Recover.ImagesDamaged))

		last := rounds[len(rounds)-1].Samples[0].T
		var b Batch
		add(&b, pod(0), sample(last+15_000, 1))
		push(t, e, "tenant", &b)
		require.NoError(t, e.Close())
		e = start(t, c)
		require.Len(t, contents(t, e, "tenant")[pod(0).String()], len(want[pod(0).String()])+1)
		require.NoError(t, e.Close())
	}
}

func pack(t *testing.T, dir, name string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	f, err := os.Create(name)
	require.NoError(t, err)
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	require.NoError(t, err)
	w := tar.NewWriter(z)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: filepath.ToSlash(rel), Mode: 0o644, Size: int64(len(b)), ModTime: time.Unix(0, 0)}
		return errors.Join(w.WriteHeader(h), func() error { _, err := w.Write(b); return err }())
	}))
	require.NoError(t, errors.Join(w.Close(), z.Close(), f.Close()))
}

func unpack(t *testing.T, name, dir string) {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		require.False(t, strings.Contains(h.Name, ".."))
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, b, 0o644))
	}
}

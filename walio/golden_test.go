package walio

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
)

var writeGolden = flag.Bool("write-golden", false, "write testdata/layout1 anew")

// A log that this version's first release wrote, with two segments and a checkpoint, is read as it was meant,
// and the same input still gives the same bytes. When the layout changes, this directory stays and another
// one comes beside it.
func TestGoldenLayout1(t *testing.T) {
	golden := filepath.Join("testdata", "layout1")
	d, src, w := newTestDir(t), newTestSource(), newWorkload(1)
	l := d.start(Position{}, src, func(o *Options) {
		o.Compression, o.SegmentSize, o.SyncInterval = CompressionNone, pageSize, time.Hour
	})
	cut := uint64(0)
	for l.nextSegment < 3 {
		src.add(w.next(200)...)
		src.add(entry{ref: 4, rec: tombstone(4, w.t)})
		wait(t, l)
		if l.nextSegment < 2 {
			cut = l.Written()
		}
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	names := liveNames{}
	names.learn(src)
	if err := l.Cut(cut, names); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	if *writeGolden {
		if err := os.RemoveAll(golden); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(golden, os.DirFS(d.wal())); err != nil {
			t.Fatal(err)
		}
	}

	old := export(t, disk.OS, golden)
	for _, name := range []string{filepath.Join("checkpoint.00000000", "00000000"), "00000001", "00000002"} {
		want, err := os.ReadFile(filepath.Join(old, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(d.wal(), name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has other bytes than when it landed (%v)", name, err)
		}
	}
	g := &testDir{t, disk.OS, t.TempDir()}
	if err := os.Rename(old, g.wal()); err != nil {
		t.Fatal(err)
	}
	from := []uint64{cut, cut, cut, cut}
	res, rec := g.recover(func(o *RecoverOptions) { o.From = from })
	g.check(src, rec, from, res.LastCommit)
	if res.LastCommit != l.Written() || res.CheckpointDamaged || len(res.Losses) > 0 {
		t.Errorf("%+v", res)
	}
}

package walio

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// damaged is a log that was closed well, to be damaged in one place and recovered.
type damaged struct {
	*testDir
	mem  *faultfs.Mem
	src  *testSource
	last uint64
}

// newDamaged writes commits of n entries at most.
func newDamaged(t *testing.T, seed uint64, commits, n int, segmentSize int64) *damaged {
	t.Helper()
	mem := newDisk(t)
	d := &damaged{testDir: &testDir{t, mem, "/d"}, mem: mem, src: newTestSource()}
	w := newWorkload(seed)
	l := d.start(Position{}, d.src, func(o *Options) { o.SegmentSize = segmentSize })
	for i := range commits {
		d.src.add(w.next(n)...)
		if i%4 == 3 {
			d.src.add(entry{ref: 5, rec: tombstone(5, int64(i))})
			d.src.add(w.next(n)...)
		}
		wait(t, l)
	}
	closeLog(t, l)
	d.last = l.Written()
	return d
}

// damage works on a copy of the log, so that one log serves many cases.
func (d *damaged) copy() *damaged {
	c := *d
	c.mem = d.mem.Kill()
	c.testDir = &testDir{d.t, c.mem, "/d"}
	return &c
}

func (d *damaged) read(segment int) []byte {
	d.t.Helper()
	data, err := disk.ReadFile(d.fs, segmentPath(d.wal(), segment))
	if err != nil {
		d.t.Fatal(err)
	}
	return data
}

func (d *damaged) write(segment int, off int64, data []byte) {
	d.t.Helper()
	f, err := d.fs.OpenRW(segmentPath(d.wal(), segment))
	if err == nil {
		_, err = f.WriteAt(data, off)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	f.Close()
}

// verify recovers. All commits were durable, so whatever is missing must be in the ledger, counted exactly,
// and nothing outside the commits named there may be missing. Then a second start has nothing to say, and
// Prometheus reads what is left.
func (d *damaged) verify(what string) Result {
	d.t.Helper()
	res, rec := d.recover(func(o *RecoverOptions) { o.SyncedThrough = d.last })
	d.compare(what, res, rec)
	again, rec := d.recover(func(o *RecoverOptions) { o.SyncedThrough = d.last })
	d.compare(what+", second start", Result{Losses: res.Losses, LastCommit: res.LastCommit}, rec)
	if len(again.Losses) > 0 || again.TornBytes > 0 || again.Position.Commit != res.Position.Commit {
		d.t.Fatalf("%s: the second start found %+v after %+v", what, again, res)
	}
	ledger, err := (&recovery{opts: d.recoverOptions()}).readLedger()
	if err != nil || len(ledger) != len(res.Losses) {
		d.t.Fatalf("%s: %d entries in the ledger for %d losses (%v)", what, len(ledger), len(res.Losses), err)
	}
	want := 0
	for _, s := range rec.stripes {
		want += len(s)
	}
	if got := len(stockEntries(d.t, export(d.t, d.fs, d.wal()))); got != want {
		d.t.Fatalf("%s: Prometheus reads %d entries, we %d", what, got, want)
	}
	return res
}

func (d *damaged) compare(what string, res Result, rec *recorder) {
	d.t.Helper()
	var missing Totals
	for s := range int(testIdentity.Stripes) {
		got := rec.stripes[s]
		for c := uint64(1); c <= d.last; c++ {
			for _, e := range d.src.wanted(s, c-1, c) {
				if e.rec != "" {
					e = entry{rec: e.rec}
				}
				if len(got) > 0 && got[0] == e {
					got = got[1:]
					continue
				}
				if !inLoss(res.Losses, c) {
					d.t.Fatalf("%s: stripe %d misses %+v of commit %d, which is in no loss: %+v", what, s, e, c, res.Losses)
				}
				switch {
				case e.key != "":
					missing.Series++
				case e.rec != "":
					missing.Others++
				default:
					missing.Samples++
				}
			}
		}
		if len(got) > 0 {
			d.t.Fatalf("%s: stripe %d got %+v, which nobody sent there", what, s, got[0])
		}
	}
	var lost Totals
	for _, l := range res.Losses {
		lost = lost.plus(Totals{l.Series, l.Samples, l.Others})
	}
	if missing != lost {
		for _, l := range res.Losses {
			if l.Bound != BoundUnknown {
				d.t.Fatalf("%s: %+v are missing, the losses say %+v: %+v", what, missing, lost, res.Losses)
			}
		}
	}
}

func inLoss(losses []Loss, commit uint64) bool {
	for _, l := range losses {
		if commit >= l.FirstCommit && commit <= l.LastCommit {
			return true
		}
	}
	return false
}

// fragments returns the offsets of all fragment headers of a segment.
func fragments(data []byte) (offs []int) {
	for off := 0; off < len(data); {
		if pageSize-off%pageSize < fragmentHeaderSize {
			off += pageSize - off%pageSize
			continue
		}
		offs = append(offs, off)
		off += fragmentHeaderSize + int(binary.BigEndian.Uint16(data[off+1:]))
	}
	return offs
}

// Any bit of any fragment header flipped, the unchecked ones of the type included, is either harmless or a
// loss that is counted to the sample (C6).
func TestEveryHeaderBit(t *testing.T) {
	d := newDamaged(t, 11, 4, 50, pageSize)
	data := d.read(0)
	for _, off := range fragments(data) {
		for bit := range fragmentHeaderSize * 8 {
			c := d.copy()
			c.write(0, int64(off+bit/8), []byte{data[off+bit/8] ^ 1<<(bit%8)})
			c.verify(fmt.Sprintf("offset %d bit %d", off, bit))
		}
	}
}

// Pages and sectors that read as zeros, in every place, cost what stood in them: no more, and it is counted (C6).
func TestZeroedPagesAndSectors(t *testing.T) {
	d := newDamaged(t, 12, 5, 6000, 4*pageSize)
	for segment := range 2 {
		size := len(d.read(segment))
		for _, unit := range []int{512, 4096, pageSize} {
			step := unit
			if unit == 512 {
				step = 23 * 512
			}
			for off := 0; off < size; off += step {
				c := d.copy()
				c.write(segment, int64(off), make([]byte, min(unit, size-off)))
				res := c.verify(fmt.Sprintf("segment %d, %d zeros at %d", segment, unit, off))
				for _, l := range res.Losses {
					if unit < pageSize && l.Samples > 3*samplesPerRecord {
						t.Fatalf("%d zeros at %d cost %d samples", unit, off, l.Samples)
					}
				}
			}
		}
	}
}

// Random damage: flipped bytes, some at once, in any places.
func TestRandomDamage(t *testing.T) {
	d := newDamaged(t, 13, 40, 900, 2*pageSize)
	for seed := range uint64(rounds(60)) {
		rng := rand.New(rand.NewPCG(seed, 5))
		c := d.copy()
		what := fmt.Sprintf("seed %d:", seed)
		for range 1 + rng.IntN(3) {
			segment := rng.IntN(4)
			data := c.read(segment)
			off, n := rng.IntN(len(data)), 1+rng.IntN(300)
			for i := off; i < min(off+n, len(data)); i++ {
				data[i] = byte(rng.Uint32())
			}
			c.write(segment, 0, data)
			what += fmt.Sprintf(" %d bytes at %d of segment %d", n, off, segment)
		}
		c.verify(what)
	}
}

// A log that ends at any byte of its last commit ends before that commit, and nothing is lost: it was not
// durable. If something else says that it was, it is a loss (C7, C8).
func TestTearAtEveryByte(t *testing.T) {
	d := newDamaged(t, 14, 3, 300, 1<<20)
	before := newDamaged(t, 14, 2, 300, 1<<20)
	whole, from := len(d.read(0)), len(before.read(0))
	for size := from; size < whole; size++ {
		c := d.copy()
		f, err := c.fs.OpenRW(segmentPath(c.wal(), 0))
		if err != nil || f.Truncate(int64(size)) != nil {
			t.Fatal(err)
		}
		f.Close()
		res, rec := c.recover()
		if res.LastCommit != 2 || len(res.Losses) > 0 || res.TornBytes != int64(size-from) {
			t.Fatalf("cut at %d of [%d,%d): %+v", size, from, whole, res)
		}
		c.check(c.src, rec, nil, 2)
		if res, _ = c.recover(func(o *RecoverOptions) { o.SyncedThrough = 3 }); len(res.Losses) != 1 || res.Losses[0].LastCommit != 3 {
			t.Fatalf("cut at %d, and commit 3 was durable: %+v", size, res.Losses)
		}
	}
}

// A hole in what was durable is damage: what follows is kept. The same hole in the unsynced tail ends the
// log: what follows was written without what it builds on, and is cut (C7).
func TestHoleInSyncedAndUnsyncedPart(t *testing.T) {
	for _, synced := range []bool{true, false} {
		mem := newDisk(t)
		src := newTestSource()
		dir := &testDir{t, mem, "/d"}
		l := dir.start(Position{}, src, func(o *Options) { o.SyncInterval = 1 << 40 })
		var ends []int64
		for i := range int64(10) {
			src.add(entry{ref: 4, t: i, v: 1}, entry{ref: 5, t: i, v: 2})
			wait(t, l)
			var s Stats
			l.Stats(&s)
			ends = append(ends, s.SegmentBytes)
		}
		if synced {
			if err := l.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			src.add(entry{ref: 4, t: 99, v: 1}) // its header says so
			wait(t, l)
		}
		killed := &damaged{testDir: &testDir{t, mem.Kill(), "/d"}, src: src, last: l.Written()}
		closeLog(t, l)
		killed.write(0, ends[4], make([]byte, ends[5]-ends[4]))
		if synced {
			if res := killed.verify("hole in the synced part"); len(res.Losses) != 1 || res.Losses[0].Samples != 2 || res.LastCommit != 11 {
				t.Fatalf("hole in the synced part: %+v", res)
			}
			continue
		}
		res, rec := killed.recover()
		if res.LastCommit != 5 || len(res.Losses) > 0 || res.TornBytes != ends[9]-ends[4] {
			t.Fatalf("hole in the unsynced tail: %+v", res)
		}
		killed.check(src, rec, nil, 5)
	}
}

// Missing segments: the loss is counted, the hole in the numbers is closed for Prometheus, and new commits
// never get a number that was used (C6, C11).
func TestMissingSegments(t *testing.T) {
	d := newDamaged(t, 15, 30, 900, pageSize)
	list, err := listDir(d.fs, d.wal())
	if err != nil {
		t.Fatal(err)
	}
	for _, num := range list.segments[1:] {
		c := d.copy()
		if err := c.fs.Remove(segmentPath(c.wal(), num)); err != nil {
			t.Fatal(err)
		}
		res := c.verify(fmt.Sprintf("segment %d missing", num))
		if len(res.Losses) != 1 || num != list.segments[len(list.segments)-1] && res.Losses[0].File != segmentName(num) {
			t.Fatalf("segment %d missing: %+v", num, res.Losses)
		}
		if num < list.segments[len(list.segments)-1] && res.Position.Segment != len(list.segments) {
			t.Fatalf("segment %d missing: next is %d", num, res.Position.Segment)
		}
	}
	c := d.copy()
	if err := c.fs.RemoveAll(c.wal()); err != nil {
		t.Fatal(err)
	}
	images := []uint64{d.last, d.last, d.last, d.last}
	res, _ := c.recover(func(o *RecoverOptions) {
		o.From, o.SyncedThrough, o.MinCommit, o.MinSegment = images, d.last, d.last, 57
	})
	if len(res.Losses) > 0 || res.Position.Commit != d.last || res.Position.Segment != 57 {
		t.Fatalf("log removed, all in images: %+v", res)
	}
	src := newTestSource()
	l := c.start(res.Position, src)
	src.add(entry{ref: 4, t: 1, v: 1})
	wait(t, l)
	closeLog(t, l)
	res, rec := c.recover(func(o *RecoverOptions) { o.From, o.SyncedThrough = images, d.last })
	if res.LastCommit != d.last+1 || len(res.Losses) > 0 {
		t.Fatalf("first start after the log was removed: %+v", res)
	}
	c.check(src, rec, images, d.last+1)
}

// Recovery needs no byte of free space after a kill in the middle of a write to a full disk, and gets along
// without it even when there is damage: that is left for the next start.
func TestRecoverOnFullDisk(t *testing.T) {
	d := newDamaged(t, 16, 12, 900, pageSize)
	whole := d.read(1)
	for _, what := range []string{"intact", "torn", "damaged"} {
		c := d.copy()
		switch what {
		case "torn":
			f, _ := c.fs.OpenRW(segmentPath(c.wal(), lastSegment(t, c)))
			size, _ := f.Size()
			if err := f.Truncate(size - 3); err != nil {
				t.Fatal(err)
			}
			f.Close()
		case "damaged":
			c.write(1, 700, make([]byte, 900))
		}
		c.fs = faultfs.Inject(c.fs, &faultfs.Rule{Kinds: faultfs.Create | faultfs.MkdirAll, Err: unix.ENOSPC})
		res, rec := c.recover(func(o *RecoverOptions) { o.SyncedThrough = d.last - 1 })
		switch what {
		case "damaged":
			if len(res.Losses) == 0 || string(c.read(1)) == string(whole) {
				t.Fatalf("damage: %+v", res)
			}
			c.compare("damage on a full disk", res, rec)
			c.fs = c.mem
			c.verify("damage, room again")
		case "torn":
			if res.LastCommit != d.last-1 {
				t.Fatalf("torn: %+v", res)
			}
			c.check(c.src, rec, nil, d.last-1)
		default:
			c.check(c.src, rec, nil, d.last)
		}
	}
}

func lastSegment(t *testing.T, d *damaged) int {
	t.Helper()
	list, err := listDir(d.fs, d.wal())
	if err != nil {
		t.Fatal(err)
	}
	return list.segments[len(list.segments)-1]
}

// What does not belong here is refused before anything is touched.
func TestRefusals(t *testing.T) {
	d := newDamaged(t, 17, 3, 100, 1<<20)
	for _, c := range []struct {
		change func(*RecoverOptions)
		want   error
	}{
		{func(o *RecoverOptions) { o.Identity.Tenant = "other" }, ErrForeign},
		{func(o *RecoverOptions) { o.Identity.Generation = 2 }, ErrForeign},
		{func(o *RecoverOptions) { o.Identity.Stripes = 8 }, ErrForeign},
		{func(o *RecoverOptions) { o.Epoch = 0 }, ErrFenced},
	} {
		o := d.recoverOptions()
		c.change(&o)
		if _, err := Recover(context.Background(), o, &recorder{}); !errors.Is(err, c.want) {
			t.Errorf("got %v, want %v", err, c.want)
		}
	}

	stock := newDisk(t)
	dir := &testDir{t, stock, "/d"}
	if err := stock.MkdirAll(dir.wal(), 0o777); err != nil {
		t.Fatal(err)
	}
	rec := appendFragments(nil, 0, []byte{recordSamples, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, 0)
	if err := disk.WriteFileAtomic(stock, filepath.Join(dir.wal(), "00000000"), rec); err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(context.Background(), dir.recoverOptions(), &recorder{}); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "import") {
		t.Errorf("Prometheus's own log: %v", err)
	}
}

// A process that was frozen while another took over wakes and writes on, in its old segment: what it writes is
// ignored, counted and cut out (C25).
func TestFrozenWriterIsFenced(t *testing.T) {
	mem := newDisk(t)
	d := &testDir{t, mem, "/d"}
	src := newTestSource()
	old := d.start(Position{}, src)
	for i := range int64(5) {
		src.add(entry{ref: 4, t: i, v: 1})
		wait(t, old)
	}
	res, _ := d.recover(func(o *RecoverOptions) { o.Epoch = 2 })
	log := d.start(res.Position, src, func(o *Options) { o.Epoch = 2 })
	src.add(entry{ref: 4, t: 100, v: 1})
	wait(t, log)
	frozen := newTestSource()
	old.source = frozen
	frozen.add(entry{ref: 4, t: 50, v: 666})
	wait(t, old)
	closeLog(t, old)
	closeLog(t, log)
	res, rec := d.recover(func(o *RecoverOptions) { o.Epoch = 3 })
	if res.Fenced != 1 || res.LastCommit != 6 || len(res.Losses) > 0 {
		t.Fatalf("%+v", res)
	}
	d.check(src, rec, nil, 6)
	if got := stockEntries(t, export(t, mem, d.wal())); len(got) != 6 {
		t.Fatalf("Prometheus reads %d entries of 6", len(got))
	}
}

package walio

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	promrecord "github.com/prometheus/prometheus/tsdb/record"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// Any bytes as a record: the decoder does not panic, and reads what Prometheus's reads. It may refuse more:
// references that cannot be ours.
func FuzzRecord(f *testing.F) {
	var b Batch
	b.reset()
	b.Series(5, []byte(key("__name__", "up", "job", "x")))
	b.Series(9, []byte(key("__name__", "down")))
	for i := range uint64(10) {
		b.Sample(4+i*i*i, int64(i*i)-5, i)
	}
	b.Record([]byte(tombstone(7, 5)))
	b.finish()
	for _, col := range [...]records{b.series, b.data} {
		from := 0
		for _, end := range col.ends {
			f.Add(col.bytes[from:end])
			from = end
		}
	}
	f.Fuzz(func(t *testing.T, rec []byte) {
		d := &extentDecoder{filter: newFilter(testIdentity.Stripes, nil)}
		w := &window{}
		_, ok := d.record(w, 1, rec)
		var got []entry
		for s := range w.runs {
			r := recorder{}
			if err := r.Apply(s, []StripeWindow{{Runs: w.runs[s], Series: w.series, Samples: w.samples}}); err != nil {
				t.Fatal(err)
			}
			got = append(got, r.stripes[s]...)
		}
		if !ok && len(got) > 0 {
			t.Fatalf("refused, and %d entries were added", len(got))
		}
		if !ok || rec[0] > recordSamples {
			return // of other kinds only the references are looked at
		}
		want, err := stockRecord(rec) // not what we refuse: Prometheus may take any amount of memory for it
		if err != nil {
			t.Fatalf("Prometheus refuses it: %v", err)
		}
		slices.SortStableFunc(want, func(a, b entry) int { return int(a.ref%4) - int(b.ref%4) })
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, Prometheus reads %v", got, want)
		}
	})
}

func stockRecord(rec []byte) (out []entry, err error) {
	dec := promrecord.NewDecoder(nil, quiet)
	switch dec.Type(rec) {
	case promrecord.Series:
		series, err := dec.Series(rec, nil)
		if err != nil {
			return nil, err
		}
		for _, s := range series {
			var k []byte
			s.Labels.Range(func(l labels.Label) { k = appendLabel(k, []byte(l.Name), []byte(l.Value)) })
			out = append(out, entry{ref: uint64(s.Ref), key: string(k)})
		}
	case promrecord.Samples:
		samples, err := dec.Samples(rec, nil)
		if err != nil {
			return nil, err
		}
		for _, s := range samples {
			out = append(out, entry{ref: uint64(s.Ref), t: s.T, v: math.Float64bits(s.V)})
		}
	}
	return out, nil
}

// Any samples, with any distance between them, come back bit for bit through a whole commit.
func FuzzSamples(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0x7f, 0xf0, 0, 0, 0, 0, 0, 2, 0xff}, 20))
	f.Add(bytes.Repeat([]byte("0123456789abcdefghijk"), 50))
	f.Fuzz(func(t *testing.T, in []byte) {
		src := newTestSource()
		for ; len(in) >= 18; in = in[18:] {
			e := entry{
				ref: binary.BigEndian.Uint64(in)>>(24+in[16]%32) + 4,
				t:   int64(binary.BigEndian.Uint64(in[8:])) >> (in[17] % 64),
				v:   binary.BigEndian.Uint64(in[2:]),
			}
			if e.ref < 1<<34 { // an index of 32 bits in 4 stripes
				src.pending = append(src.pending, e)
			}
		}
		mem := faultfs.NewMem()
		d := &testDir{nil, mem, "/d"}
		d.t = t
		l := d.start(Position{}, src)
		wait(t, l)
		closeLog(t, l)
		res, rec := d.recover()
		d.check(src, rec, nil, res.LastCommit)
	})
}

// Any bytes as the headers of commits and segments: no panic, and what is accepted encodes to bytes that are
// read the same.
func FuzzHeaders(f *testing.F) {
	f.Add(appendCommitHeader(nil, &commitHeader{
		generation: 1, epoch: 2, commit: 10, synced: 9, counts: Totals{1, 2, 3}, minT: -5, maxT: 5,
		before: Totals{100, 1 << 40, 0}, hashes: []uint32{1, 2, 3},
	}))
	f.Add(appendSegmentHeader(nil, &segmentHeader{id: testIdentity, epoch: 3, num: 4, first: 5}))
	f.Add(appendSegmentHeader(nil, &segmentHeader{
		kind: segmentCheckpoint, id: testIdentity, maxIndex: []uint64{1, 2, 3, 4}, series: 10,
	}))
	f.Fuzz(func(t *testing.T, rec []byte) {
		// The checksum is put right, else nothing would ever be accepted.
		if len(rec) > 8 {
			rec = appendSum(rec[:len(rec)-8])
		}
		var h, again commitHeader
		if parseCommitHeader(rec, &h) == nil {
			if err := parseCommitHeader(appendCommitHeader(nil, &h), &again); err != nil || !equalHeaders(&h, &again) {
				t.Fatalf("%+v became %+v (%v)", h, again, err)
			}
		}
		if s, err := parseSegmentHeader(rec); err == nil {
			s2, err := parseSegmentHeader(appendSegmentHeader(nil, s))
			if err != nil || s2.id != s.id || s2.first != s.first || s2.series != s.series || !slices.Equal(s2.maxIndex, s.maxIndex) {
				t.Fatalf("%+v became %+v (%v)", s, s2, err)
			}
		}
	})
}

func equalHeaders(a, b *commitHeader) bool {
	return a.commit == b.commit && a.synced == b.synced && a.counts == b.counts && a.before == b.before &&
		a.minT == b.minT && a.maxT == b.maxT && a.flags == b.flags && a.epoch == b.epoch &&
		a.generation == b.generation && slices.Equal(a.hashes, b.hashes)
}

// A log of two segments with any edits: recovery does not panic, and where it succeeds it leaves a directory
// that it reads the same again and that Prometheus reads without an error. An edit is six bytes: which
// segment, what, where (2), how much, and a value.
func FuzzRecover(f *testing.F) {
	logs := [][2][]byte{fuzzLog(f, CompressionNone), fuzzLog(f, CompressionSnappy)}
	f.Add(uint8(0), uint64(0), []byte{})
	f.Add(uint8(0), uint64(3), []byte{0, 0, 1, 7, 1, 1})
	f.Add(uint8(1), uint64(9), []byte{1, 1, 0, 90, 200, 0, 0, 3, 5, 5, 7, 9})
	f.Add(uint8(1), uint64(9), []byte{0, 2, 9, 90, 200, 0, 1, 3, 5, 5, 7, 9})
	f.Fuzz(func(t *testing.T, which uint8, synced uint64, edits []byte) {
		mem := newDisk(t)
		d := &testDir{t, mem, "/d"}
		if err := mem.MkdirAll(d.wal(), 0o777); err != nil {
			t.Fatal(err)
		}
		segments := logs[which%2]
		for ; len(edits) >= 6; edits = edits[6:] {
			s := &segments[edits[0]%2]
			*s = edit(slices.Clone(*s), edits)
		}
		for i, data := range segments {
			if err := disk.WriteFileAtomic(mem, segmentPath(d.wal(), i), data); err != nil {
				t.Fatal(err)
			}
		}
		o := d.recoverOptions()
		o.SyncedThrough = synced
		first, err := Recover(t.Context(), o, &recorder{})
		if err != nil {
			return
		}
		second, err := Recover(t.Context(), o, &recorder{})
		if err != nil || second.LastCommit != first.LastCommit || second.Read != first.Read {
			t.Fatalf("%+v after %+v (%v)", second, first, err)
		}
		stockEntries(t, export(t, mem, d.wal()))
	})
}

func edit(data, e []byte) []byte {
	if len(data) == 0 {
		return data
	}
	lo := int(binary.BigEndian.Uint16(e[2:])) % len(data)
	hi := min(lo+int(e[4])*8+1, len(data))
	switch e[1] % 5 {
	case 0:
		data[lo] ^= e[5]
	case 1:
		clear(data[lo:hi])
	case 2:
		data = data[:lo]
	case 3: // written twice
		data = slices.Insert(data, hi, data[lo:hi]...)
	case 4: // left out
		data = slices.Delete(data, lo, hi)
	}
	return data
}

func fuzzLog(f *testing.F, comp Compression) (segments [2][]byte) {
	f.Helper()
	mem := faultfs.NewMem()
	d := &testDir{nil, mem, "/d"}
	src, w := newTestSource(), newWorkload(uint64(comp))
	o := d.options(Position{})
	o.SegmentSize, o.Compression = pageSize, comp
	l, err := Start(o, src)
	if err != nil {
		f.Fatal(err)
	}
	for l.nextSegment < 2 {
		src.add(w.next(300)...)
		if err := l.Wait(context.Background()); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	for i := range segments {
		if segments[i], err = disk.ReadFile(mem, segmentPath(d.wal(), i)); err != nil {
			f.Fatal(err)
		}
	}
	return segments
}

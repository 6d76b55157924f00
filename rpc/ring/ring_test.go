package ring

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	dskit "github.com/grafana/dskit/ring"
	"google.golang.org/protobuf/encoding/protowire"
)

// ours and theirs are the same ring for us and for dskit, through the bytes that both exchange.
func ours(t *testing.T, d *dskit.Desc) *Desc {
	t.Helper()
	b, err := dskit.GetCodec().Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Codec{}.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return v.(*Desc)
}

func theirs(t *testing.T, d *Desc) *dskit.Desc {
	t.Helper()
	b, err := Codec{}.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	v, err := dskit.GetCodec().Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return v.(*dskit.Desc)
}

// randomRing has few instances, times and tokens, so that they collide.
func randomRing(r *rand.Rand) *dskit.Desc {
	d := dskit.NewDesc()
	for range r.IntN(5) {
		id := string(rune('a' + r.IntN(5)))
		in := dskit.InstanceDesc{
			Addr: id + ":1", Timestamp: 100 + r.Int64N(4), State: dskit.InstanceState(r.IntN(5)), Zone: "z" + id,
			RegisteredTimestamp: r.Int64N(3), ReadOnly: r.IntN(3) == 0, ReadOnlyUpdatedTimestamp: r.Int64N(3),
		}
		if r.IntN(3) == 0 {
			in.Versions = map[uint64]uint64{1: r.Uint64N(9)}
		}
		for range r.IntN(6) {
			in.Tokens = append(in.Tokens, r.Uint32N(12))
		}
		if in.State == dskit.LEFT {
			in.Tokens = nil
		}
		slices.Sort(in.Tokens)
		in.Tokens = slices.Compact(in.Tokens)
		d.Ingesters[id] = in
	}
	return d
}

func same(a, b *Desc) error {
	if x, y := a.Marshal(nil), b.Marshal(nil); !bytes.Equal(x, y) {
		return fmt.Errorf("%v\nand\n%v", a.Instances, b.Instances)
	}
	return nil
}

// Random rings go through dskit's bytes and ours unchanged, and merge to what dskit's ring merges to: result and change,
// for gossip and for a compare-and-set.
func TestAgreesWithDskit(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 5000 {
		a, b, local := randomRing(r), randomRing(r), r.IntN(2) == 0
		x, y := ours(t, a), ours(t, b)
		if err := same(x, ours(t, theirs(t, x))); err != nil {
			t.Fatalf("changed on the way: %v", err)
		}
		before := fmt.Sprintf("%v\n+ %v, local %v", x.Instances, y.Instances, local)
		ourChange, err := x.merge(y, local, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		theirChange, err := a.Merge(b, local)
		if err != nil {
			t.Fatal(err)
		}
		if err := same(x, ours(t, a)); err != nil {
			t.Fatalf("%s\nmerges to\n%v", before, err)
		}
		if (ourChange == nil) != (theirChange == nil) {
			t.Fatalf("%s\nchange %v, dskit's %v", before, ourChange, theirChange)
		}
		if ourChange != nil {
			if err := same(ourChange.(*Desc), ours(t, theirChange.(*dskit.Desc))); err != nil {
				t.Fatalf("%s\nchanges\n%v", before, err)
			}
		}
	}
}

// What is not known here is written back, of other instances and of the ring itself, when one entry is changed (trap 14).
func TestForeignFieldsSurvive(t *testing.T) {
	mark := func(b []byte, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(b, 777, protowire.BytesType), s)
	}
	d := NewDesc()
	d.Instances["a"] = Instance{Addr: "a:1", State: State(9), Tokens: []uint32{3, 1 << 31}, unknown: mark(nil, "of a")}
	d.Instances["b"] = Instance{Addr: "b:1", unknown: mark(nil, "of b")}
	d.unknown = mark(nil, "of the ring")
	b, err := Codec{}.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Codec{}.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	got := v.(*Desc)
	got.Put("a", Instance{Addr: "a:2", State: ReadOnly}, time.Unix(1000, 0))
	out := got.Marshal(nil)
	for _, s := range []string{"of a", "of b", "of the ring", "a:2"} {
		if !bytes.Contains(out, []byte(s)) {
			t.Errorf("lost %q", s)
		}
	}
	if clone := got.Clone().(*Desc); same(clone, got) != nil {
		t.Error("a clone differs")
	}
	// Merged, the newer entry brings its own.
	if _, err := got.merge(&Desc{Instances: map[string]Instance{"b": {Timestamp: 2000, unknown: mark(nil, "newer")}}}, false, time.Unix(2000, 0)); err != nil {
		t.Fatal(err)
	}
	if out = got.Marshal(nil); bytes.Contains(out, []byte("of b")) || !bytes.Contains(out, []byte("newer")) {
		t.Errorf("merged: %q", out)
	}
}

// Every change of an entry moves its timestamp, a heartbeat moves it with the clock, and neither past what Cortex
// accepts (trap 12). A tombstone wins over the entry it is of.
func TestTimestampsIncrease(t *testing.T) {
	d, now, last := NewDesc(), time.Unix(1_000_000, 0), int64(0)
	for i := range 10 {
		in, changed := d.Put("a", Instance{State: State(i % 2)}, now)
		if !changed || in.Timestamp <= last {
			t.Fatalf("change %d at %d after %d", i, in.Timestamp, last)
		}
		last = in.Timestamp
	}
	if _, changed := d.Put("a", Instance{State: Leaving}, now); changed {
		t.Error("a heartbeat before the clock has caught up")
	}
	other := d.Clone().(*Desc)
	change, err := d.merge(NewDesc(), true, now)
	if err != nil || change == nil {
		t.Fatalf("removed: %v %v", change, err)
	}
	if _, err := other.merge(change, false, now); err != nil || other.Instances["a"].State != Left {
		t.Errorf("a peer keeps what unregistered within the second: %+v %v", other.Instances["a"], err)
	}
	far := NewDesc()
	far.Instances["a"] = Instance{Timestamp: now.Add(time.Hour).Unix()}
	if in, _ := far.Put("a", Instance{State: Leaving}, now); in.Timestamp > now.Add(30*time.Minute).Unix() {
		t.Errorf("%d s ahead", in.Timestamp-now.Unix())
	}
}

// Damaged bytes are an error, never a panic and never a ring.
func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		b, err := dskit.GetCodec().Encode(randomRing(r))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Codec{}.Decode(b)
		if err != nil {
			return
		}
		d := v.(*Desc)
		again, err := Codec{}.Encode(d)
		if err != nil {
			t.Fatal(err)
		}
		if w, err := (Codec{}).Decode(again); err != nil || same(d, w.(*Desc)) != nil {
			t.Fatalf("written and read again: %v, %v", maps.Keys(d.Instances), err)
		}
	})
}

// A token owns what is between it and the one before: one instance alone owns all, and the first token what is behind the last.
func TestOwnership(t *testing.T) {
	d := NewDesc()
	d.Instances["a"] = Instance{Tokens: []uint32{7}}
	d.Instances["none"] = Instance{}
	if got := d.Ownership(); len(got) != 1 || got["a"] != 1 {
		t.Errorf("alone: %v", got)
	}
	d.Instances["a"] = Instance{Tokens: []uint32{1 << 30, 1 << 31}}
	d.Instances["b"] = Instance{Tokens: []uint32{3 << 30}}
	if got := d.Ownership(); got["a"] != 0.75 || got["b"] != 0.25 {
		t.Errorf("two: %v", got)
	}
}

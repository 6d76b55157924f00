package handover

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rekindledb/rekindle/engine"
)

// xorOf encodes n samples from t on, a second apart, whose values are their numbers from v on.
func xorOf(t testing.TB, from int64, v, n int) []byte {
	t.Helper()
	c := chunkenc.NewXORChunk()
	app, err := c.Appender()
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		app.Append(0, from+int64(i)*1000, float64(v+i))
	}
	return c.Bytes()
}

// bigchunk is Cortex 1.10's default, made from its format: see the package comment.
func bigchunk(subs ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(len(subs)))
	for _, s := range subs {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	return b
}

type wireChunk struct {
	encoding uint64
	data     []byte
}

func message(from, tenant string, l labels.Labels, chunks ...wireChunk) []byte {
	text := func(b []byte, n protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), s)
	}
	b := text(text(nil, 1, from), 2, tenant)
	l.Range(func(l labels.Label) { b = text(b, 3, string(text(text(nil, 1, l.Name), 2, l.Value))) })
	for _, c := range chunks {
		m := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 5)
		m = protowire.AppendVarint(protowire.AppendTag(m, 3, protowire.VarintType), c.encoding)
		m = text(m, 4, string(c.data))
		b = text(b, 4, string(m))
	}
	return b
}

// kept is what a receiver stored, by tenant and series.
type kept map[string]map[string][]engine.Sample

func (k kept) receive(messages ...[]byte) (Received, error) {
	r := Receiver{
		IsLeaving: func(_ context.Context, id string) error {
			if id != "leaver" {
				return errors.New("it does not leave")
			}
			return nil
		},
		Store: func(_ context.Context, tenant string, b *engine.Batch) (engine.TakenIn, error) {
			if k[tenant] == nil {
				k[tenant] = map[string][]engine.Sample{}
			}
			for _, s := range b.Series {
				k[tenant][string(s.Key)] = append(k[tenant][string(s.Key)], b.Samples[s.Lo:s.Hi]...)
			}
			return engine.TakenIn{AppendResult: engine.AppendResult{Stored: len(b.Samples)}}, nil
		},
	}
	return r.Receive(context.Background(), func() ([]byte, error) {
		if len(messages) == 0 {
			return nil, io.EOF
		}
		m := messages[0]
		messages = messages[1:]
		return m, nil
	})
}

func keyOf(l labels.Labels) string {
	key, _ := engine.AppendKey(nil, l)
	return string(key)
}

// A stream as Cortex 1.10 sends it by default is taken in: Bigchunks of several sub-chunks, XOR chunks between them, chunks
// that overlap, tenants one after another, and more samples than are stored at a time.
func TestReceive(t *testing.T) {
	up, many := labels.FromStrings("__name__", "up", "job", "x"), labels.FromStrings("__name__", "many")
	k := kept{}
	got, err := k.receive(
		message("leaver", "t1", up,
			wireChunk{3, bigchunk(xorOf(t, 0, 0, 120), xorOf(t, 120_000, 120, 30))},
			wireChunk{4, xorOf(t, 140_000, 140, 20)}), // its first ten are known
		message("leaver", "t1", labels.FromStrings("job", "y", "__name__", "up"), wireChunk{3, bigchunk()}),
		message("leaver", "t2", many, wireChunk{3, bigchunk(xorOf(t, 0, 0, 20_000))}),
		message("leaver", "t2", up, wireChunk{4, xorOf(t, 0, 5, 1)}),
	)
	if err != nil || got.Series != 4 || got.Chunks != 5 || got.From != "leaver" || got.Samples != 160+20_000+1 {
		t.Fatalf("%+v %v", got, err)
	}
	for tenant, want := range map[string]map[string]int{"t1": {keyOf(up): 160}, "t2": {keyOf(many): 20_000, keyOf(up): 1}} {
		if len(k[tenant]) != len(want) {
			t.Errorf("%s has %d series", tenant, len(k[tenant]))
		}
		for key, n := range want {
			s := k[tenant][key]
			if len(s) != n {
				t.Fatalf("%s %q has %d samples, want %d", tenant, key, len(s), n)
			}
			first := math.Float64frombits(s[0].V)
			for i := range s {
				if s[i].T != int64(i)*1000 || math.Float64frombits(s[i].V) != first+float64(i) {
					t.Fatalf("%s %q sample %d is %v", tenant, key, i, s[i])
				}
			}
		}
	}
}

// What cannot be taken in ends the transfer with a reason, and nothing of that series is stored.
func TestRefused(t *testing.T) {
	up := labels.FromStrings("__name__", "up")
	good := wireChunk{4, xorOf(t, 0, 0, 3)}
	for name, c := range map[string]struct {
		messages [][]byte
		want     string
	}{
		"nothing":               {nil, "no series"},
		"double delta":          {[][]byte{message("leaver", "t", up, good, wireChunk{1, xorOf(t, 9000, 0, 3)})}, "encoding 1 is not taken"},
		"histogram":             {[][]byte{message("leaver", "t", up, wireChunk{5, xorOf(t, 0, 0, 3)})}, "encoding 5"},
		"short chunk":           {[][]byte{message("leaver", "t", up, wireChunk{4, []byte{0}})}, "ends early"},
		"short bigchunk":        {[][]byte{message("leaver", "t", up, wireChunk{3, bigchunk(xorOf(t, 0, 0, 3))[:9]})}, "ends early"},
		"no sender":             {[][]byte{message("", "t", up, good)}, "does not say which"},
		"sender does not leave": {[][]byte{message("somebody", "t", up, good)}, "does not leave"},
		"two senders":           {[][]byte{message("leaver", "t", up), message("other", "t", up, good)}, "in the transfer of"},
		"no labels":             {[][]byte{message("leaver", "t", labels.EmptyLabels(), good)}, "no labels"},
		"label twice":           {[][]byte{message("leaver", "t", labels.New(labels.Label{Name: "a", Value: "1"}, labels.Label{Name: "a", Value: "2"}), good)}, "no labels"},
		"garbage":               {[][]byte{{0xff, 0xff}}, "handover"},
	} {
		k := kept{}
		if _, err := k.receive(c.messages...); err == nil || !strings.Contains(err.Error(), c.want) || len(k) > 0 {
			t.Errorf("%s: %v, stored %v", name, err, k)
		}
	}
}

// No message makes the receiver panic, and what it takes has ascending samples.
func FuzzMessage(f *testing.F) {
	up := labels.FromStrings("__name__", "up", "job", "x")
	f.Add(message("leaver", "t", up, wireChunk{3, bigchunk(xorOf(f, 0, 0, 120), xorOf(f, 120_000, 120, 30))}))
	f.Add(message("leaver", "t", up, wireChunk{4, xorOf(f, 0, 0, 2)}, wireChunk{4, xorOf(f, 500, 0, 2)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s series
		if err := s.unmarshal(b); err != nil {
			return
		}
		for i := 1; i < len(s.samples); i++ {
			if s.samples[i].T <= s.samples[i-1].T {
				t.Fatalf("sample %d is not newer than the one before", i)
			}
		}
	})
}

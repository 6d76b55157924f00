package xor

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// FuzzAppend lets the input choose times and values freely, 17 bytes a sample, and compares every prefix
// with chunkenc's, and the whole with what runs make of it.
func FuzzAppend(f *testing.F) {
	for i, sh := range shapes {
		var in []byte
		for _, x := range sh.series(rand.New(rand.NewPCG(3, uint64(i))), 12) {
			in = append(in, 0)
			in = binary.LittleEndian.AppendUint64(in, uint64(x.t))
			in = binary.LittleEndian.AppendUint64(in, x.v)
		}
		f.Add(in, uint16(50*i))
	}
	f.Fuzz(func(t *testing.T, in []byte, run uint16) {
		var samples []sample
		p := sample{}
		for len(in) >= 17 {
			// The first byte says which parts are differences to the sample before, and how small.
			how := in[0]
			dt, v := int64(binary.LittleEndian.Uint64(in[1:])), binary.LittleEndian.Uint64(in[9:])
			if how&1 != 0 {
				dt = p.t + dt>>(how>>2)
			}
			if how&2 != 0 {
				v = p.v ^ v>>(how>>2)
			}
			p = sample{dt, v}
			samples = append(samples, p)
			in = in[17:]
		}
		same(t, samples, 1+int(run), 0xff)
	})
}

// FuzzIterator gives any bytes to the decoder. It must not panic or read outside, and where it finds
// samples without a fault, chunkenc must find the same, and an appender resumed on them must write what
// chunkenc reads.
func FuzzIterator(f *testing.F) {
	for i, sh := range shapes {
		done := sh.chunk(rand.New(rand.NewPCG(4, uint64(i))), 30)
		f.Add(done)
		f.Add(done[:len(done)/2])
	}
	f.Add([]byte{})
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		var it Iterator
		it.Reset(in)
		var got []sample
		for it.Next() {
			ts, v := it.At()
			got = append(got, sample{ts, v})
		}
		s, err := Resume(in)
		if it.Err() != nil {
			if err == nil {
				t.Fatalf("Resume accepts what the iterator refuses: %v", it.Err())
			}
			return
		}
		c, err2 := chunkenc.FromData(chunkenc.EncXOR, in)
		if err2 != nil {
			t.Fatal(err2)
		}
		check := func(c chunkenc.Chunk, want []sample) {
			ref := c.Iterator(nil)
			for i, x := range want {
				if ref.Next() != chunkenc.ValFloat {
					t.Fatalf("chunkenc ends at sample %d of %d: %v", i, len(want), ref.Err())
				}
				if ts, v := ref.At(); ts != x.t || math.Float64bits(v) != x.v {
					t.Fatalf("sample %d: chunkenc reads %d %x, want %+v", i, ts, math.Float64bits(v), x)
				}
			}
			if ref.Next() != chunkenc.ValNone || ref.Err() != nil {
				t.Fatalf("chunkenc finds more than %d samples: %v", len(want), ref.Err())
			}
		}
		check(c, got)
		if err != nil {
			if len(in) <= maxBits/8 {
				t.Fatalf("Resume: %v", err)
			}
			return
		}

		ch := &chain{State: s}
		for at := 0; at == 0 || at < s.Size(); at += BlockBytes {
			ch.link()
			copy(ch.tail().Data[:], in[at:min(at+BlockBytes, s.Size())])
		}
		for i := range uint64(3) {
			x := sample{ch.T + int64(i*i), ch.V ^ i<<(20*i)}
			if !ch.add(x.t, x.v) {
				return
			}
			got = append(got, x)
		}
		c, _ = chunkenc.FromData(chunkenc.EncXOR, ch.finish())
		check(c, got)
	})
}

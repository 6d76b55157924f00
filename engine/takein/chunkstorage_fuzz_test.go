package takein

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// Whatever a record of a chunk-storage log holds, it is read or refused: no panic, and no more samples than bytes can hold.
func FuzzChunkRecord(f *testing.F) {
	chunk := protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), chunkEncodingBig)
	chunk = protowire.AppendBytes(protowire.AppendTag(chunk, 4, protowire.BytesType), []byte{1, 0, 12, 0, 0, 1, 0x80, 0xa0, 0xab, 0xfe, 0xf9, 0x62, 0x3f, 0xf0, 0, 0})
	series := protowire.AppendString(protowire.AppendTag([]byte{chunkRecordCheckpoint}, 1, protowire.BytesType), "fake")
	f.Add(protowire.AppendBytes(protowire.AppendTag(series, 4, protowire.BytesType), chunk))
	f.Add([]byte{chunkRecordSeries, 4, 'f', 'a', 'k', 'e', 1, 0, 0})
	f.Add([]byte{chunkRecordSamples, 200})
	f.Fuzz(func(t *testing.T, rec []byte) {
		if len(rec) == 0 {
			return
		}
		if tenant, rest, err := cutTenant(rec); err == nil && len(tenant)+len(rest) >= len(rec) {
			t.Errorf("%d bytes of tenant and %d of record from %d", len(tenant), len(rest), len(rec))
		}
		s, err := parseCheckpoint(rec)
		if err != nil {
			return
		}
		n := 0
		for i := range s.chunks {
			_ = s.chunks[i].samples(func(sample) { n++ })
		}
		if n > 8*len(rec) {
			t.Errorf("%d samples from %d bytes", n, len(rec))
		}
	})
}

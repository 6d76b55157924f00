package wire

import (
	"math/rand/v2"
	"testing"

	"github.com/golang/snappy"

	"github.com/rekindledb/rekindle/engine"
)

// The decoder and the batch of a fuzz target are reused from input to input, as in the server.

// Any bytes: what Prometheus's generated code makes of them, and the model of that, is what we make of them.
func FuzzV1(f *testing.F) { fuzzVersion(f, V1) }

func FuzzV2(f *testing.F) { fuzzVersion(f, V2) }

func fuzzVersion(f *testing.F, v Version) {
	o := Options{MaxLabelNames: 12, MaxNameLength: 20, MaxValueLength: 150, MaxMetadataLength: 40}
	d, b := NewDecoder(o), &engine.Batch{}
	behind := DistributorOptions()
	ofDistributor := NewDecoder(behind)
	f.Fuzz(func(t *testing.T, body []byte) {
		requireLikePrometheus(t, d, o, v, body, b)
		if v == V1 {
			requireLikePrometheus(t, ofDistributor, behind, v, body, b)
		}
	})
}

// Any bytes as a Snappy block: no panic, and the same answer as for the decompressed body.
func FuzzSnappy(f *testing.F) {
	o := Options{MaxMessageSize: 1 << 20}
	d, b := NewDecoder(o), &engine.Batch{}
	f.Fuzz(func(t *testing.T, compressed []byte) {
		for _, v := range []Version{V1, V2} {
			err := d.Decode(v, compressed, b)
			body, snappyErr := snappy.Decode(nil, compressed[:min(len(compressed), snappyPrefix(compressed))])
			if snappyErr != nil {
				continue // s2 reads some blocks that snappy does not
			}
			if plainErr := NewDecoder(o).DecodeMessage(v, body, &engine.Batch{}); (err == nil) != (plainErr == nil) {
				t.Fatalf("compressed: %v, plain: %v", err, plainErr)
			}
		}
	})
}

// snappyPrefix keeps the reference from allocating what a block only declares.
func snappyPrefix(compressed []byte) int {
	if n, err := snappy.DecodedLen(compressed); err != nil || n > 1<<20 {
		return 0
	}
	return len(compressed)
}

// Any request, encoded with any oddities, in both versions.
func FuzzRequest(f *testing.F) {
	o, behind := DefaultOptions(), DistributorOptions()
	d, ofDistributor, b := NewDecoder(o), NewDecoder(behind), &engine.Batch{}
	f.Fuzz(func(t *testing.T, seed uint64, oddities, faults uint8) {
		rng := rand.New(rand.NewPCG(seed, 0))
		enc := odd{rng: rng, rate: float64(oddities) / 256}
		r := randomRequest(rng, float64(faults)/1024)
		requireLikePrometheus(t, d, o, V1, enc.v1(r), b)
		requireLikePrometheus(t, ofDistributor, behind, V1, enc.v1(r), b)
		requireLikePrometheus(t, d, o, V2, enc.v2(r), b)
	})
}

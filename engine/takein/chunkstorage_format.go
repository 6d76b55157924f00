package takein

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"google.golang.org/protobuf/encoding/protowire"
)

// The write-ahead log of Cortex's chunk-storage ingester, up to 1.10 (-ingester.wal-dir):
//
//	<dir>/00000012 ...                 segments in the framing of tsdb/wlog, of all tenants together
//	<dir>/checkpoint.000011/00000000   all series with their chunks, from the time when segment 11 was written
//
// A record of a segment is one of
//
//	1 | uvarint size, tenant | Series record of tsdb/record, with its type
//	2 | uvarint size, tenant | Samples record of tsdb/record, with its type
//
// whose references are fingerprints, one tenant's own. A record of a checkpoint is a protobuf message,
//
//	3 | user_id 1 string | fingerprint 2 uint64 | labels 3 repeated {name 1, value 2} | chunks 4 repeated Chunk
//	Chunk: start 1, end 2 int64 ms | encoding 3 int32 | data 4 bytes
//
// without the byte 3 in older versions. A chunk of encoding 4 is an XOR chunk of chunkenc; of encoding 3, the default,
// a number of them,
//
//	uint16 count | count times: uint16 size, XOR chunk of up to 120 samples          (little-endian)
//
// and encodings 1 and 2 come from the time before these.
const (
	chunkRecordSeries     = 1
	chunkRecordSamples    = 2
	chunkRecordCheckpoint = 3
	chunkRecordTypeMax    = 7 // a greater first byte begins a message without a type

	chunkEncodingBig = 3
	chunkEncodingXOR = 4
)

var errChunkRecord = errors.New("malformed record of a chunk-storage log")

// cutTenant takes type and tenant off a record of a segment. What is left is a record of tsdb/record.
func cutTenant(rec []byte) (tenant string, rest []byte, err error) {
	size, n := binary.Uvarint(rec[1:])
	if n <= 0 || size > uint64(len(rec)-1-n) {
		return "", nil, errChunkRecord
	}
	at := 1 + n
	return string(rec[at : at+int(size)]), rec[at+int(size):], nil
}

// checkpointSeries is a record of a checkpoint.
type checkpointSeries struct {
	tenant      string
	fingerprint uint64
	labels      labels.Labels
	chunks      []wireChunk
}

type wireChunk struct {
	encoding uint64
	data     []byte
}

// parseCheckpoint reads a record of a checkpoint. What it returns points into it.
func parseCheckpoint(rec []byte) (s checkpointSeries, err error) {
	if rec[0] == chunkRecordCheckpoint {
		rec = rec[1:]
	}
	b := labels.NewScratchBuilder(16)
	err = eachField(rec, func(num protowire.Number, v uint64, bytes []byte) error {
		switch num {
		case 1:
			s.tenant = string(bytes)
		case 2:
			s.fingerprint = v
		case 3:
			var name, value string
			err := eachField(bytes, func(num protowire.Number, _ uint64, bytes []byte) error {
				switch num {
				case 1:
					name = string(bytes)
				case 2:
					value = string(bytes)
				}
				return nil
			})
			b.Add(name, value)
			return err
		case 4:
			var c wireChunk
			err := eachField(bytes, func(num protowire.Number, v uint64, bytes []byte) error {
				switch num {
				case 3:
					c.encoding = v
				case 4:
					c.data = bytes
				}
				return nil
			})
			s.chunks = append(s.chunks, c)
			return err
		}
		return nil
	})
	b.Sort()
	s.labels = b.Labels()
	return s, err
}

// eachField calls visit for each field of a protobuf message: v of a varint, bytes of what has a length.
func eachField(b []byte, visit func(num protowire.Number, v uint64, bytes []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errChunkRecord
		}
		b = b[n:]
		var v uint64
		var bytes []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return errChunkRecord
		}
		b = b[n:]
		if err := visit(num, v, bytes); err != nil {
			return err
		}
	}
	return nil
}

// errEncoding: a chunk of an encoding that is not read.
var errEncoding = errors.New("chunk encoding that is not read")

// samples calls yield for each sample of a chunk.
func (c *wireChunk) samples(yield func(sample)) error {
	switch c.encoding {
	case chunkEncodingXOR:
		return xorSamples(c.data, yield)
	case chunkEncodingBig:
	default:
		return fmt.Errorf("%w: %d", errEncoding, c.encoding)
	}
	b := c.data
	if len(b) < 2 {
		return errChunkRecord
	}
	n := int(binary.LittleEndian.Uint16(b))
	b = b[2:]
	for range n {
		if len(b) < 2 {
			return errChunkRecord
		}
		size := int(binary.LittleEndian.Uint16(b))
		if b = b[2:]; size > len(b) {
			return errChunkRecord
		}
		if err := xorSamples(b[:size], yield); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

func xorSamples(data []byte, yield func(sample)) error {
	if len(data) < 2 {
		return errChunkRecord
	}
	c, err := chunkenc.FromData(chunkenc.EncXOR, data)
	if err != nil {
		return err
	}
	it := c.Iterator(nil)
	for it.Next() == chunkenc.ValFloat {
		t, v := it.At()
		yield(sample{t, math.Float64bits(v)})
	}
	return it.Err()
}

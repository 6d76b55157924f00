package handover

import (
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/rpc/pb"
)

// Field numbers, see the package comment.
const (
	fieldFrom     protowire.Number = 1
	fieldUser     protowire.Number = 2
	fieldLabels   protowire.Number = 3
	fieldChunks   protowire.Number = 4
	fieldName     protowire.Number = 1
	fieldValue    protowire.Number = 2
	fieldEncoding protowire.Number = 3
	fieldData     protowire.Number = 4
)

// series is one message, decoded. Its memory is used again for the next.
type series struct {
	from, tenant string
	key          []byte
	samples      []engine.Sample
	chunks       int

	labels labels.ScratchBuilder
}

func (s *series) unmarshal(b []byte) error {
	s.from, s.tenant, s.key, s.samples, s.chunks = "", "", s.key[:0], s.samples[:0], 0
	s.labels.Reset()
	err := pb.Each("TimeSeriesChunk", b, func(num protowire.Number, _ uint64, data []byte) error {
		switch num {
		case fieldFrom:
			s.from = string(data)
		case fieldUser:
			s.tenant = string(data)
		case fieldLabels:
			return s.label(data)
		case fieldChunks:
			s.chunks++
			return s.chunk(data)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("handover: a series of tenant %q: %w", s.tenant, err)
	}
	s.labels.Sort()
	l := s.labels.Labels()
	var ok bool
	if s.key, ok = engine.AppendKey(s.key, l); !ok {
		return fmt.Errorf("handover: tenant %q: %s are no labels of a series", s.tenant, l)
	}
	return nil
}

func (s *series) label(b []byte) error {
	var name, value string
	err := pb.Each("LabelPair", b, func(num protowire.Number, _ uint64, data []byte) error {
		switch num {
		case fieldName:
			name = string(data)
		case fieldValue:
			value = string(data)
		}
		return nil
	})
	s.labels.Add(name, value)
	return err
}

func (s *series) chunk(b []byte) error {
	var encoding uint64
	var data []byte
	err := pb.Each("Chunk", b, func(num protowire.Number, v uint64, d []byte) error {
		switch num {
		case fieldEncoding:
			encoding = v
		case fieldData:
			data = d
		}
		return nil
	})
	if err == nil {
		s.samples, err = appendSamples(s.samples, 0, encoding, data)
	}
	return err
}

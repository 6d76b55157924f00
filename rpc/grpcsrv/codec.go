package grpcsrv

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// codec leaves the messages of our service as bytes. Those of other services on the same port (health, httpgrpc) go the
// usual way.
type codec struct {
	encoding.CodecV2
}

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// message is what a client sent. free gives its memory back.
type message struct {
	buf mem.Buffer
}

func (m *message) bytes() []byte { return m.buf.ReadOnlyData() }

func (m *message) free() { m.buf.Free() }

// reply is what a client gets. Once sent, its memory belongs to buffers.
type reply []byte

// Unmarshal copies only what came in several buffers: messages that are not compressed and longer than a frame, and
// those above bufferSizes' last but one.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(*message); ok {
		m.buf = data.MaterializeToBuffer(buffers)
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	r, ok := v.(reply)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	if len(r) == 0 {
		return nil, nil
	}
	b := []byte(r)
	return mem.BufferSlice{mem.NewBuffer(&b, buffers)}, nil
}

package grpcsrv

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// pushStreamOf opens a PushStream.
func pushStreamOf(t testing.TB, h *harness, ctx context.Context) grpc.ClientStream {
	t.Helper()
	s, err := h.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/cortex.Ingester/PushStream", grpc.UseCompressor(SnappyBlock))
	require.NoError(t, err)
	return s
}

// streamWrite is a StreamWriteRequest. Its fields come in Cortex's order, the empty Ref last.
func streamWrite(tenant string, request []byte) []byte {
	m := append([]byte{0x0a, byte(len(tenant))}, tenant...)
	m = binary.AppendUvarint(append(m, 0x12), uint64(len(request)))
	return append(append(m, request...), 0xc2, 0x3e, 0)
}

func exchange(t testing.TB, s grpc.ClientStream, message []byte) (code int64, text string) {
	t.Helper()
	require.NoError(t, s.SendMsg(message))
	var answer []byte
	require.NoError(t, s.RecvMsg(&answer))
	m := decode(t, "WriteResponse", answer)
	return get(m, "code").Int(), get(m, "message").String()
}

// Each request of a stream is one push of the tenant that it names, with an answer of its own, and a bad one harms no other.
// Success is 200: distributors take 0 for a failure.
func TestPushStream(t *testing.T) {
	h := newHarness(t, nil)
	now := time.Now().Truncate(time.Second).UnixMilli()
	s := pushStreamOf(t, h, as("ingester-127.0.0.1-9095-stream-push-worker-17"))
	for i, c := range []struct {
		message []byte
		code    int64
		text    string
	}{
		{streamWrite("one", writeRequest(t, 3, now)), 200, ""},
		{streamWrite("two", writeRequest(t, 2, now)), 200, ""},
		{streamWrite("one", writeRequest(t, 1, now-1)), 400, `user=one: err: out of order sample. timestamp=` + time.UnixMilli(now-1).UTC().Format(time.RFC3339Nano) + `, series={__name__="up", instance="0", job="a"}`},
		{streamWrite("one", []byte("\x0a")), 400, "decode remote write 1.0 request: field at byte 0: the message ends in the middle of a field"},
		{[]byte("\x12\x05"), 400, "decode StreamWriteRequest: field 2: unexpected EOF"},
		{streamWrite("../x", nil), 500, ""},
		{append(streamWrite("one", writeRequest(t, 4, now+1)), streamWrite("one", writeRequest(t, 5, now+2))...), 200, ""}, // two messages are one
		{nil, 200, ""}, // of nobody: the default tenant has nothing to store
	} {
		code, text := exchange(t, s, c.message)
		require.Equal(t, c.code, code, "%d: %s", i, text)
		if c.text != "" {
			require.Equal(t, c.text, text)
		}
	}
	h.fail = fmt.Errorf("broken")
	code, text := exchange(t, s, streamWrite("one", writeRequest(t, 1, now+3)))
	require.EqualValues(t, 500, code)
	require.Equal(t, "broken", text)
	h.fail = nil
	require.NoError(t, s.CloseSend())
	require.Error(t, s.RecvMsg(new([]byte)))
	require.Equal(t, []string{"anonymous", "one", "two"}, h.Tenants())
	answers, err := h.stream(as("one"), "QueryStream", encode(t, "QueryRequest", `{"start":%d,"end":%d,"matchers":[{"name":"__name__","value":"up"}]}`, now, now+10))
	require.NoError(t, err)
	samples := 0
	for _, l := range chunkSeries(t, decode(t, "QueryStreamResponse", answers...)) {
		samples += len(l)
	}
	require.Equal(t, 3+4+5, samples)
}

// A stream of one tenant cannot write for another; a distributor's worker can write for all.
func TestPushStreamTenants(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.Tenancy.Required = true })
	now := time.Now().UnixMilli()
	s := pushStreamOf(t, h, as("one"))
	code, _ := exchange(t, s, streamWrite("one", writeRequest(t, 1, now)))
	require.EqualValues(t, 200, code)
	require.NoError(t, s.SendMsg(streamWrite("two", writeRequest(t, 1, now))))
	requireStatus(t, s.RecvMsg(new([]byte)), codes.PermissionDenied, "tenant ID mismatch")

	s = pushStreamOf(t, h, as("ingester-[--1]-9095-stream-push-worker-0")) // no tenant could be called that
	code, _ = exchange(t, s, streamWrite("two", writeRequest(t, 1, now)))
	require.EqualValues(t, 200, code)

	s = pushStreamOf(t, h, t.Context())
	requireStatus(t, s.RecvMsg(new([]byte)), codes.Unknown, "no org id")
}

// Streams that nobody ends do when the gate closes: a stop would wait for them for ever.
func TestPushStreamEndsWithGate(t *testing.T) {
	h := newHarness(t, nil)
	var streams []grpc.ClientStream
	for range 100 {
		s := pushStreamOf(t, h, as("ingester-a-stream-push-worker-0"))
		code, _ := exchange(t, s, streamWrite("one", writeRequest(t, 1, 1000)))
		require.EqualValues(t, 200, code)
		streams = append(streams, s)
	}
	require.NoError(t, h.gate.Close(t.Context()))
	for _, s := range streams {
		requireStatus(t, s.RecvMsg(new([]byte)), codes.Unavailable, "not ready: stopping")
	}
}

package wire

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/engine"
)

// bytesOf joins bytes, strings and numbers (as varints).
func bytesOf(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = binary.AppendUvarint(b, uint64(p))
		case uint64:
			b = binary.AppendUvarint(b, p)
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

// field is a field of bytes whose number is below 16.
func field(num int, parts ...any) []byte {
	content := bytesOf(parts...)
	return bytesOf(num<<3|wireBytes, len(content), content)
}

// Bodies that are no messages are refused with the reason and the place, and leave nothing in the batch that
// was decoded before the fault was met.
func TestNoMessage(t *testing.T) {
	good := odd{rng: rand.New(rand.NewPCG(1, 1))}.v1(podRequest(1))
	for _, c := range []struct {
		version Version
		bad     []byte
		reason  string
	}{
		{V1, bytesOf("\x0a"), faultTexts[faultTruncated]},
		{V1, bytesOf("\x0a", "\x05", "1234"), faultTexts[faultTruncated]},
		{V1, bytesOf("\x0a", uint64(1<<63)), faultTexts[faultTruncated]},
		{V1, bytesOf("\x0a", ^uint64(0)), faultTexts[faultTruncated]},
		{V1, bytesOf("\x0a", strings.Repeat("\xff", 10), "\x01"), faultTexts[faultVarint]},
		{V1, bytesOf("\x02\x00"), faultTexts[faultField]},
		{V1, bytesOf(uint64(1)<<34 | wireVarint), faultTexts[faultField]}, // negative as 32 bits
		{V1, bytesOf("\x0c"), faultTexts[faultGroupEnd]},
		{V1, bytesOf("\x0f"), faultTexts[faultKnownField]},
		{V1, bytesOf("\x08\x01"), faultTexts[faultKnownField]},
		{V1, bytesOf("\x46"), faultTexts[faultWireType]},
		{V1, bytesOf(strings.Repeat("\x13", 1_000_000)), faultTexts[faultTruncated]},
		{V1, bytesOf("\x0a\x04", "\x12\x02", "\x08\x01"), faultTexts[faultKnownField]},             // a sample's value as varint
		{V1, bytesOf("\x0a\x05", "\x12\x03", "\x11\x00\x00"), faultTexts[faultKnownField]},         // its timestamp as fixed64
		{V1, bytesOf("\x0a\x04", "\x0a\x02", "\x08\x01"), faultTexts[faultKnownField]},             // a label's name as varint
		{V1, bytesOf("\x0a\x06", "\x0a\x04", "\x0a\xff\xff\x7f"), faultTexts[faultTruncated]},      // longer than its label
		{V1, bytesOf("\x0a\x0b", "\x0a\x0d", "\x0a\x01a\x12\x01b123"), faultTexts[faultTruncated]}, // a label longer than its series
		{V1, bytesOf("\x1a\x02", "\x0a\x00"), faultTexts[faultKnownField]},                         // metadata's type as bytes
		{V2, bytesOf("\x20\x01"), faultTexts[faultKnownField]},                                     // a symbol as varint
		{V2, bytesOf("\x2a\x05", "\x0d\x01\x02\x03\x04"), faultTexts[faultKnownField]},             // refs as fixed32
		{V2, bytesOf("\x2a\x03", "\x0a\x02\x80"), faultTexts[faultTruncated]},
		{V2, bytesOf("\x2a\x01", "\x08"), faultTexts[faultTruncated]},
		{V2, bytesOf("\x2a\x04", "\x12\x02", "\x1a\x00"), faultTexts[faultKnownField]}, // a start timestamp as bytes
		{V2, bytesOf("\x2a\x04", "\x2a\x02", "\x1a\x00"), faultTexts[faultKnownField]}, // help_ref as bytes
		{3, nil, "no such version of the protocol"},
	} {
		t.Run(fmt.Sprintf("%d %.20x", c.version, c.bad), func(t *testing.T) {
			body, at := c.bad, 0
			if c.version == V1 {
				body, at = append(good[:len(good):len(good)], c.bad...), len(good)
			}
			var b engine.Batch
			err := NewDecoder(Options{}).DecodeMessage(c.version, body, &b)
			require.Equal(t, &Error{Version: c.version, Offset: at, Reason: c.reason}, err)
			require.Contains(t, err.Error(), fmt.Sprintf("decode remote write %d.0 request: field at byte %d: ", c.version, at))
			require.Empty(t, b.Series)
			require.Empty(t, b.Samples)
		})
	}
}

// A Snappy block that declares more than is allowed, or than it can hold, or is none, is refused before
// memory is taken for it.
func TestDeclaredSize(t *testing.T) {
	d := NewDecoder(Options{MaxMessageSize: 1 << 20})
	var b engine.Batch
	var size *SizeError
	var bad *Error

	require.ErrorAs(t, d.Decode(V1, bytesOf(1<<20+1, "\x00\x00"), &b), &size)
	require.Equal(t, "received message larger than max (1048577 vs 1048576)", size.Error())
	require.ErrorAs(t, d.Decode(V1, make([]byte, 1<<20+1), &b), &size)
	require.ErrorAs(t, d.DecodeMessage(V1, make([]byte, 1<<20+1), &b), &size)
	for _, block := range [][]byte{nil, bytesOf(uint64(1 << 32)), bytesOf(1<<20, "\x00\x00"), bytesOf(5, "\x04ab")} {
		require.ErrorAs(t, d.Decode(V1, block, &b), &bad)
		require.Contains(t, bad.Reason, "no Snappy block")
	}
	require.LessOrEqual(t, cap(d.body), 16)

	// The densest block there is passes.
	require.NoError(t, d.Decode(V1, snappy.Encode(nil, bytesOf("\x12", 1<<20-4, make([]byte, 1<<20-4))), &b))
	require.NoError(t, d.Decode(V1, []byte{0}, &b))
}

// Small bodies that describe large batches are refused at Options.MaxBatchSize, whichever column it is.
func TestBatchSize(t *testing.T) {
	const most = 1 << 16
	o := Options{MaxBatchSize: most}
	repeat := func(b []byte, n int) []byte { return []byte(strings.Repeat(string(b), n)) }
	name := field(1, bytesOf(field(1, []byte(metricName)), field(2, []byte("x"))))
	sample := field(2, nil)
	long := bytesOf(field(4, nil), field(4, []byte(metricName)), field(4, make([]byte, 2000)))
	for what, c := range map[string]struct {
		version Version
		body    []byte
	}{
		"samples":  {V1, field(1, bytesOf(name, repeat(sample, most)))},
		"series":   {V1, repeat(field(1, bytesOf(name, sample)), most)},
		"labels":   {V1, field(1, repeat(name, most))},
		"metadata": {V1, repeat(field(3, field(2, []byte("x"))), most)},
		"symbols":  {V2, repeat(field(4, nil), most)},
		"refs":     {V2, field(5, field(1, make([]byte, most)))},
		"one ref":  {V2, field(5, repeat([]byte("\x08\x00"), most))},
		"unsorted": {V2, bytesOf(long, repeat(field(5, bytesOf(field(1, []byte{1, 2, 2, 2}), sample)), 100))},
		"scratch":  {V2, bytesOf(long, repeat(field(5, bytesOf(field(1, []byte{1, 2}), sample)), 100))},
	} {
		t.Run(what, func(t *testing.T) {
			d := NewDecoder(o)
			var b engine.Batch
			var size *SizeError
			require.ErrorAs(t, d.DecodeMessage(c.version, c.body, &b), &size)
			require.True(t, size.Expanded)
			require.Contains(t, size.Error(), "more than 65536 bytes")
			require.LessOrEqual(t, 16*cap(b.Samples)+40*cap(b.Series)+80*cap(b.Metadata)+cap(b.Scratch)+
				16*cap(d.labels)+32*cap(d.symbols)+4*cap(d.refs), 4*most)
			require.Empty(t, len(b.Samples)+len(b.Series)+len(b.Metadata))
		})
	}
}

// A request like the one before allocates nothing, whether its labels are canonical or not, and whatever
// comes with its samples.
func TestNoAllocation(t *testing.T) {
	r := podRequest(100)
	for i := range r.series {
		r.series[i].exemplars, r.series[i].histograms = i%2, i%3
	}
	for _, rate := range []float64{0, 0.1} {
		enc := odd{rng: rand.New(rand.NewPCG(1, 1)), rate: rate}
		d := NewDecoder(DefaultOptions())
		var b engine.Batch
		for v, body := range [][]byte{V1: snappy.Encode(nil, enc.v1(r)), V2: snappy.Encode(nil, enc.v2(r))} {
			if v := Version(v); v != 0 {
				require.Zero(t, testing.AllocsPerRun(20, func() {
					if err := d.Decode(v, body, &b); err != nil || len(b.Series) != 100 {
						t.Fatal(err, len(b.Series))
					}
				}))
			}
		}
	}
}

// The buffer of an unusually large body is not kept for ever.
func TestBufferIsGivenBack(t *testing.T) {
	d := NewDecoder(Options{})
	var b engine.Batch
	require.NoError(t, d.Decode(V1, snappy.Encode(nil, bytesOf("\x12", bodyKeepMax, make([]byte, bodyKeepMax))), &b))
	require.Greater(t, cap(d.body), bodyKeepMax)
	require.NoError(t, d.Decode(V1, snappy.Encode(nil, []byte("\x12\x00")), &b))
	require.Less(t, cap(d.body), bodyKeepMax)
}

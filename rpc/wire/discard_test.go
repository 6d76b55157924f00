package wire

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/engine"
)

// Each fault of a series is told in Cortex's words and counted under Cortex's reason, once for all samples of
// the series, and the good series next to it is kept.
func TestDiscards(t *testing.T) {
	o := Options{MaxLabelNames: 4, MaxNameLength: 10, MaxValueLength: 300, MaxKeySize: 400}
	up := func(labels ...modelLabel) []modelLabel { return append([]modelLabel{{metricName, "up"}}, labels...) }
	long := strings.Repeat("v", 301)
	for _, c := range []struct {
		reason, text string
		labels       []modelLabel
	}{
		{ReasonMissingMetricName, `sample missing metric name`, []modelLabel{{"job", "a"}, {metricName, ""}}},
		{ReasonMissingMetricName, `sample missing metric name`, nil},
		{ReasonMetricNameInvalid, `sample invalid metric name: "\xff"`, []modelLabel{{metricName, "\xff"}}},
		{ReasonTooManyLabels, `series has too many labels (actual: 5, limit: 4) series: 'up{a="1", b="2", c="3", d="4"}'`, up(modelLabel{"b", "2"}, modelLabel{"a", "1"}, modelLabel{"c", "3"}, modelLabel{"d", "4"})},
		{ReasonLabelInvalid, `sample invalid label: "" metric "up{=\"x\"}"`, up(modelLabel{"", "x"})},
		{ReasonLabelInvalid, `sample invalid label: "\xc3" metric "up{\xc3=\"x\"}"`, up(modelLabel{"\xc3", "x"})},
		{ReasonNameTooLong, `label name too long for metric (actual: 11, limit: 10) metric: "up{elevenbytes=\"x\"}" label name: "elevenbytes"`, up(modelLabel{"elevenbytes", "x"})},
		{ReasonValueTooLong, `label value too long for metric (actual: 301, limit: 300) metric: "up{a=\"` + long[:194] + `" label name: "a" label value: "` + long[:200] + `"`, up(modelLabel{"a", long})},
		{ReasonValueInvalid, `sample invalid label value: "\xff" label name: "a" metric "up{a=\"\\xff\"}"`, up(modelLabel{"a", "\xff"})},
		{ReasonDuplicateNames, `duplicate label name: "a" metric "up{a=\"1\", a=\"2\"}"`, up(modelLabel{"a", "1"}, modelLabel{"a", "2"})},
		{ReasonDuplicateNames, `duplicate label name: "__name__" metric "up{__name__=\"down\"}"`, up(modelLabel{metricName, "down"})},
		{ReasonLabelsTooLarge, `labels size bytes exceeded for metric (actual: 434, limit: 400) metric: "up{a=\"` + long[:194] + `"`, up(modelLabel{"a", long[:200]}, modelLabel{"b", long[:200]})},
	} {
		t.Run(c.reason, func(t *testing.T) {
			samples := []engine.Sample{{T: 1, V: 2}, {T: 3, V: 4}}
			good := modelSeries{labels: up(), samples: samples[:1]}
			r := modelRequest{series: []modelSeries{{labels: c.labels, samples: samples, histograms: 1, exemplars: 4}, good}}
			plain := odd{rng: rand.New(rand.NewPCG(1, 1))}
			for v, body := range [][]byte{V1: plain.v1(r), V2: plain.v2(r)} {
				if v == 0 {
					continue
				}
				var b engine.Batch
				require.NoError(t, NewDecoder(o).DecodeMessage(Version(v), body, &b))
				require.Equal(t, c.text, b.InvalidText)
				require.Equal(t, c.reason, b.InvalidReason)
				require.Equal(t, 3, b.Invalid)
				require.Equal(t, []engine.Discard{{Reason: c.reason, Samples: 3, Exemplars: 4}}, b.Discards)
				require.Len(t, b.Series, 1)
				require.Equal(t, samples[:1], b.Samples)
			}
		})
	}
}

// Faults that only a 2.0 request can have are those of a series too.
func TestDiscardsV2(t *testing.T) {
	plain := odd{rng: rand.New(rand.NewPCG(1, 1))}
	symbols := bytesOf("\x22\x00", plain.bytes(nil, 4, []byte(metricName)), plain.bytes(nil, 4, []byte("up")))
	for _, c := range []struct{ reason, text, series string }{
		{ReasonSymbolRef, "invalid labelRefs length 3", "\x0a\x03\x01\x02\x01\x12\x00"},
		{ReasonSymbolRef, "labelRefs 1 (name) = 3 (value) outside of symbols table (size 3)", "\x0a\x02\x01\x03\x12\x00"},
		{ReasonSymbolRef, "labelRefs 4294967295 (name) = 2 (value) outside of symbols table (size 3)", "\x0a\x06\xff\xff\xff\xff\x0f\x02\x12\x00"},
		{ReasonSymbolRef, "metadata unit_ref 0 or help_ref 7 outside of symbols table (size 3)", "\x0a\x02\x01\x02\x12\x00\x2a\x02\x18\x07"},
		{ReasonNoSamples, `TimeSeries must contain at least one sample or histogram for series "up"`, "\x0a\x02\x01\x02"},
	} {
		var b engine.Batch
		body := bytesOf(symbols, plain.bytes(nil, 5, []byte(c.series)), plain.bytes(nil, 5, []byte("\x0a\x02\x01\x02\x12\x00")))
		require.NoError(t, NewDecoder(Options{}).DecodeMessage(V2, body, &b))
		require.Equal(t, c.text, b.InvalidText)
		require.Equal(t, c.reason, b.InvalidReason)
		require.Len(t, b.Series, 1)
	}
}

// A text about a series of any size stays short.
func TestTextIsShort(t *testing.T) {
	s := modelSeries{labels: []modelLabel{{metricName, strings.Repeat("n", 1<<16)}}}
	for range 40 {
		s.labels = append(s.labels, modelLabel{strings.Repeat("\xff", 1<<12), strings.Repeat("\xff", 1<<12)})
	}
	var b engine.Batch
	body := odd{rng: rand.New(rand.NewPCG(1, 1))}.v1(modelRequest{series: []modelSeries{s}})
	require.NoError(t, NewDecoder(DefaultOptions()).DecodeMessage(V1, body, &b))
	require.Equal(t, ReasonTooManyLabels, b.InvalidReason)
	require.Less(t, len(b.InvalidText), 16<<10)
}

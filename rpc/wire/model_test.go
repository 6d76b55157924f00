package wire

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/engine"
)

// The model decodes with Prometheus's own generated code and then applies the rules of doc.go to structs and
// maps, in the most obvious way. Batches are compared with it.

type modelRequest struct {
	series   []modelSeries
	metadata []modelMetadata
}

type modelSeries struct {
	labels                []modelLabel
	badRef, needsSamples  bool
	samples               []engine.Sample
	histograms, exemplars int
	metadata              *modelMetadata
}

type modelLabel struct{ name, value string }

type modelMetadata struct {
	family, help, unit string
	typ                uint8
}

// modelBatch is what the engine gets, as strings.
type modelBatch struct {
	keys, reasons         []string
	samples               [][]engine.Sample
	histograms, exemplars int
	invalid               int
	discards              map[string]engine.Discard
	metadata              []modelMetadata
}

func modelV1(body []byte) (modelRequest, error) {
	var req prompb.WriteRequest
	if err := req.Unmarshal(body); err != nil {
		return modelRequest{}, err
	}
	var r modelRequest
	for _, ts := range req.Timeseries {
		s := modelSeries{histograms: len(ts.Histograms), exemplars: len(ts.Exemplars)}
		for _, l := range ts.Labels {
			s.labels = append(s.labels, modelLabel{l.Name, l.Value})
		}
		for _, p := range ts.Samples {
			s.samples = append(s.samples, engine.Sample{T: p.Timestamp, V: math.Float64bits(p.Value)})
		}
		r.series = append(r.series, s)
	}
	for _, md := range req.Metadata {
		r.metadata = append(r.metadata, modelMetadata{md.MetricFamilyName, md.Help, md.Unit, modelType(int32(md.Type))})
	}
	return r, nil
}

func modelV2(body []byte) (modelRequest, error) {
	var req writev2.Request
	if err := req.Unmarshal(body); err != nil {
		return modelRequest{}, err
	}
	var r modelRequest
	symbol := func(s *modelSeries, ref uint32) string {
		if int(ref) >= len(req.Symbols) {
			s.badRef = true
			return ""
		}
		return req.Symbols[ref]
	}
	for _, ts := range req.Timeseries {
		s := modelSeries{histograms: len(ts.Histograms), exemplars: len(ts.Exemplars), needsSamples: true}
		for refs := ts.LabelsRefs; len(refs) > 0 && !s.badRef; refs = refs[2:] {
			if len(refs) == 1 {
				s.badRef = true
				break
			}
			s.labels = append(s.labels, modelLabel{symbol(&s, refs[0]), symbol(&s, refs[1])})
		}
		for _, p := range ts.Samples {
			s.samples = append(s.samples, engine.Sample{T: p.Timestamp, V: math.Float64bits(p.Value)})
		}
		if md := ts.Metadata; modelType(int32(md.Type)) != 0 || md.HelpRef != 0 || md.UnitRef != 0 {
			s.metadata = &modelMetadata{"", symbol(&s, md.HelpRef), symbol(&s, md.UnitRef), modelType(int32(md.Type))}
		}
		r.series = append(r.series, s)
	}
	return r, nil
}

func modelType(t int32) uint8 {
	if t < 0 || t > 7 {
		return 0
	}
	return uint8(t)
}

// batch applies the rules to a request.
func (r modelRequest) batch(o Options) modelBatch {
	b := modelBatch{discards: map[string]engine.Discard{}}
	discard := func(reason string, samples, exemplars, metadata int) {
		c := b.discards[reason]
		c.Reason = reason
		c.Samples += samples
		c.Exemplars += exemplars
		c.Metadata += metadata
		b.discards[reason] = c
	}
	addMetadata := func(md modelMetadata) {
		switch {
		case md.family == "":
			discard(ReasonMissingMetricName, 0, 0, 1)
		case o.MaxMetadataLength > 0 && len(md.family) > o.MaxMetadataLength:
			discard(ReasonFamilyTooLong, 0, 0, 1)
		case o.MaxMetadataLength > 0 && len(md.help) > o.MaxMetadataLength:
			discard(ReasonHelpTooLong, 0, 0, 1)
		case o.MaxMetadataLength > 0 && len(md.unit) > o.MaxMetadataLength:
			discard(ReasonUnitTooLong, 0, 0, 1)
		default:
			b.metadata = append(b.metadata, md)
		}
	}
	said := map[string]modelMetadata{}
	for _, s := range r.series {
		key, name, reason := s.key(o)
		if reason != "" {
			discard(reason, len(s.samples)+s.histograms, s.exemplars, 0)
			b.invalid += len(s.samples) + s.histograms
			b.reasons = append(b.reasons, reason)
			continue
		}
		b.histograms += s.histograms
		b.exemplars += s.exemplars
		if len(s.samples) > 0 {
			b.keys = append(b.keys, key)
			b.samples = append(b.samples, s.samples)
		}
		if s.metadata != nil {
			md := *s.metadata
			md.family = name
			if last, ok := said[name]; !ok || last != md {
				said[name] = md
				addMetadata(md)
			}
		}
	}
	for _, md := range r.metadata {
		addMetadata(md)
	}
	return b
}

// unsorted reports whether a series has labels out of order. Empty ones are no labels.
func (r modelRequest) unsorted() bool {
	return slices.ContainsFunc(r.series, func(s modelSeries) bool {
		labels := slices.DeleteFunc(slices.Clone(s.labels), func(l modelLabel) bool { return l.value == "" })
		return !slices.IsSortedFunc(labels, func(x, y modelLabel) int { return strings.Compare(x.name, y.name) })
	})
}

// key returns the canonical key and the metric's name, or why there is none.
func (s modelSeries) key(o Options) (key, metric, reason string) {
	if s.badRef {
		return "", "", ReasonSymbolRef
	}
	labels := slices.DeleteFunc(slices.Clone(s.labels), func(l modelLabel) bool { return l.value == "" })
	slices.SortStableFunc(labels, func(x, y modelLabel) int { return strings.Compare(x.name, y.name) })
	seen := map[string]bool{}
	var buf []byte
	for _, l := range labels {
		if l.name == metricName && metric == "" {
			metric = l.value
		}
	}
	switch {
	case metric == "" && (!o.Nameless || len(labels) == 0):
		return "", "", ReasonMissingMetricName
	case !utf8.ValidString(metric):
		return "", "", ReasonMetricNameInvalid
	case o.MaxLabelNames > 0 && len(labels) > o.MaxLabelNames:
		return "", "", ReasonTooManyLabels
	}
	for _, l := range labels {
		switch {
		case l.name == "" || !utf8.ValidString(l.name):
			return "", "", ReasonLabelInvalid
		case o.MaxNameLength > 0 && len(l.name) > o.MaxNameLength:
			return "", "", ReasonNameTooLong
		case !utf8.ValidString(l.value):
			return "", "", ReasonValueInvalid
		case o.MaxValueLength > 0 && len(l.value) > o.MaxValueLength:
			return "", "", ReasonValueTooLong
		case seen[l.name]:
			return "", "", ReasonDuplicateNames
		}
		seen[l.name] = true
		// The generated code writes canonical fields: it is the definition of the key.
		field, err := (&prompb.TimeSeries{Labels: []prompb.Label{{Name: l.name, Value: l.value}}}).Marshal()
		if err != nil {
			panic(err)
		}
		buf = append(buf, field...)
	}
	switch {
	case len(buf) > keySizeDefault:
		return "", "", ReasonLabelsTooLarge
	case s.needsSamples && len(s.samples)+s.histograms == 0:
		return "", "", ReasonNoSamples
	}
	return string(buf), metric, ""
}

// requireBatch compares b with the model's batch.
func requireBatch(t testing.TB, want modelBatch, b *engine.Batch) {
	t.Helper()
	require.Len(t, b.Series, len(want.keys))
	for i, s := range b.Series {
		require.Equal(t, want.keys[i], string(s.Key), "key of series %d", i)
		require.Equal(t, want.samples[i], b.Samples[s.Lo:s.Hi], "samples of series %d", i)
	}
	require.Equal(t, want.histograms, b.Histograms, "histograms")
	require.Equal(t, want.exemplars, b.Exemplars, "exemplars")
	require.Equal(t, want.invalid, b.Invalid, "invalid samples")
	require.Len(t, b.Discards, len(want.discards))
	for _, c := range b.Discards {
		require.Equal(t, want.discards[c.Reason], c)
	}
	if len(want.reasons) > 0 {
		require.Equal(t, want.reasons[0], b.InvalidReason)
		require.NotEmpty(t, b.InvalidText)
	} else {
		require.Empty(t, b.InvalidReason)
		require.Empty(t, b.InvalidText)
	}
	require.Len(t, b.Metadata, len(want.metadata))
	for i, md := range b.Metadata {
		require.Equal(t, want.metadata[i], modelMetadata{string(md.Family), string(md.Help), string(md.Unit), md.Type})
	}
}

// requireLikePrometheus decodes body with d and by the model and compares. reused is a batch that held
// something else before.
func requireLikePrometheus(t testing.TB, d *Decoder, o Options, v Version, body []byte, reused *engine.Batch) {
	t.Helper()
	before := bytes.Clone(body)
	err := d.DecodeMessage(v, body, reused)
	require.Equal(t, before, body, "the body was written to")
	model := modelV1
	if v == V2 {
		model = modelV2
	}
	req, modelErr := model(body)
	if modelErr != nil {
		if err != nil {
			require.Equal(t, 0, len(reused.Series)+len(reused.Samples)+len(reused.Metadata), "a failed body left something behind")
			return
		}
		// Histograms and exemplars are not stored, so their insides are only checked to be fields at all.
		unread := reused.Histograms + reused.Exemplars
		for _, c := range reused.Discards {
			unread += c.Samples + c.Exemplars
		}
		require.NotZero(t, unread, "accepted what Prometheus does not: %v: %x", modelErr, body)
		return
	}
	if o.SortedOnly && req.unsorted() {
		require.ErrorAs(t, err, new(*OrderError))
		require.Equal(t, 0, len(reused.Series)+len(reused.Samples)+len(reused.Metadata), "a failed body left something behind")
		return
	}
	require.NoError(t, err)
	requireBatch(t, req.batch(o), reused)
}
